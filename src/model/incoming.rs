//! Describes one push from WeChat, typed, with nothing of the wire left in it.
//! Owns: the kinds of messages and events, and which of them concern people. Uses: ids. Never: XML, JSON, the clock.

use serde::{Deserialize, Serialize};

use super::ids::OpenId;

/// The text WeChat sends in place of a sticker, call or red packet that it cannot forward.
pub const UNSUPPORTED_TEXT: &str = "【收到不支持的消息类型，暂无法显示】";

/// One inbound message or event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// The account's own id (`gh_…`).
    pub to: Box<str>,
    /// Who sent it: a follower, or the platform itself for some notices.
    pub from: OpenId,
    /// `CreateTime` in Unix seconds as sent; 0 when absent.
    pub create_time: i64,
    /// `MsgId` of a message, `MsgID` of a result event: kept as text, it exceeds 2^53.
    pub msg_id: Option<Box<str>>,
    /// What was sent.
    pub content: Content,
}

/// What a push says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Words. `menu_id` is `bizmsgmenuid`: the follower tapped a menu message instead of typing.
    Text {
        /// The words as typed, blanks kept.
        text: Box<str>,
        /// Set when a menu message was tapped.
        menu_id: Option<Box<str>>,
    },
    /// A picture.
    Image {
        /// Where WeChat shows it, for a short time.
        pic_url: Box<str>,
        /// For `media/get`, 3 days.
        media_id: Box<str>,
    },
    /// A voice message.
    Voice {
        /// For `media/get`, 3 days.
        media_id: Box<str>,
        /// `amr` or `speex`.
        format: Box<str>,
        /// A 16 kHz copy on newer accounts.
        media_id_16k: Option<Box<str>>,
        /// What WeChat heard, where recognition is on.
        recognition: Option<Box<str>>,
    },
    /// A video.
    Video {
        /// For `media/get`, 3 days.
        media_id: Box<str>,
        /// Its still picture.
        thumb_media_id: Box<str>,
    },
    /// A short video, filmed in the chat.
    ShortVideo {
        /// For `media/get`, 3 days.
        media_id: Box<str>,
        /// Its still picture.
        thumb_media_id: Box<str>,
    },
    /// A place. Numbers stay as sent: nothing computes with them.
    Location {
        /// `Location_X`, degrees.
        latitude: Box<str>,
        /// `Location_Y`, degrees.
        longitude: Box<str>,
        /// Zoom.
        scale: Box<str>,
        /// The address in words, possibly empty.
        label: Box<str>,
    },
    /// A shared article.
    Link {
        /// Headline.
        title: Box<str>,
        /// Summary.
        description: Box<str>,
        /// Address.
        url: Box<str>,
    },
    /// A file; there is no documented way to fetch it.
    File {
        /// File name.
        title: Box<str>,
        /// Usually empty.
        description: Box<str>,
        /// `FileKey`.
        key: Box<str>,
        /// `FileMd5`.
        md5: Box<str>,
        /// `FileTotalLen`, bytes.
        size: Box<str>,
    },
    /// A mini-program card.
    MiniProgramPage {
        /// Headline.
        title: Box<str>,
        /// The mini program.
        app_id: Box<str>,
        /// Its page.
        page_path: Box<str>,
        /// Preview address.
        thumb_url: Box<str>,
        /// Preview media.
        thumb_media_id: Box<str>,
    },
    /// Something that happened.
    Event(Event),
    /// A message type that this version does not know, with everything it carried.
    Unknown {
        /// `MsgType` as sent.
        msg_type: Box<str>,
        /// All fields but the common header.
        fields: Vec<Field>,
    },
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Which event, whatever its spelling on the wire.
    pub kind: EventKind,
    /// `Event` as sent.
    pub name: Box<str>,
    /// `EventKey`, absent when empty.
    pub key: Option<Box<str>>,
    /// Every other field but the common header, in order.
    pub fields: Vec<Field>,
}

/// A field as it came: a text, or a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The element's name.
    pub name: Box<str>,
    /// Its text, or what it contains.
    pub value: FieldValue,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldValue {
    /// Text.
    Text(Box<str>),
    /// Further fields.
    Fields(Vec<Field>),
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// The events that WeChat documents; the comparison ignores case, as the wire does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$doc])* #[doc = $name] $variant,)+
            /// An event that this version does not know.
            Other,
        }

        impl EventKind {
            /// All documented events with the name WeChat writes.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $name)),+];
        }
    };
}

event_kinds! {
    Subscribe = "subscribe", Unsubscribe = "unsubscribe", Scan = "SCAN", Location = "LOCATION",
    Click = "CLICK", View = "VIEW", ScancodePush = "scancode_push", ScancodeWaitmsg = "scancode_waitmsg",
    PicSysphoto = "pic_sysphoto", PicPhotoOrAlbum = "pic_photo_or_album", PicWeixin = "pic_weixin",
    LocationSelect = "location_select", ViewMiniprogram = "view_miniprogram",
    UserEnterTempsession = "user_enter_tempsession",
    TemplateSendJobFinish = "TEMPLATESENDJOBFINISH", MassSendJobFinish = "MASSSENDJOBFINISH",
    PublishJobFinish = "PUBLISHJOBFINISH",
    KfCreateSession = "kf_create_session", KfCloseSession = "kf_close_session", KfSwitchSession = "kf_switch_session",
    SubscribeMsgPopup = "subscribe_msg_popup_event", SubscribeMsgChange = "subscribe_msg_change_event",
    SubscribeMsgSent = "subscribe_msg_sent_event",
    UserInfoModified = "user_info_modified", UserAuthorizationRevoke = "user_authorization_revoke",
    UserAuthorizationCancellation = "user_authorization_cancellation",
    DebugDemo = "debug_demo",
    CardPassCheck = "card_pass_check", CardNotPassCheck = "card_not_pass_check", UserGetCard = "user_get_card",
    UserGiftingCard = "user_gifting_card", UserDelCard = "user_del_card",
    UserEnterSessionFromCard = "user_enter_session_from_card",
    SubmitMembercardUserInfo = "submit_membercard_user_info", UserConsumeCard = "user_consume_card",
    UserPayFromPayCell = "user_pay_from_pay_cell", UserViewCard = "user_view_card",
    UpdateMemberCard = "update_member_card", CardSkuRemind = "card_sku_remind", CardPayOrder = "card_pay_order",
    GiftcardPayDone = "giftcard_pay_done", GiftcardSendToFriend = "giftcard_send_to_friend",
    GiftcardUserAccept = "giftcard_user_accept",
    QualificationVerifySuccess = "qualification_verify_success", QualificationVerifyFail = "qualification_verify_fail",
    NamingVerifySuccess = "naming_verify_success", NamingVerifyFail = "naming_verify_fail",
    AnnualRenew = "annual_renew", VerifyExpired = "verify_expired",
    WifiConnected = "WifiConnected", PoiCheckNotify = "poi_check_notify", MerchantOrder = "merchant_order",
    ShakearoundUserShake = "ShakearoundUserShake", UserScanProduct = "user_scan_product",
    UserScanProductEnterSession = "user_scan_product_enter_session", UserScanProductAsync = "user_scan_product_async",
    UserScanProductVerifyAction = "user_scan_product_verify_action", SubscribeScanProduct = "subscribe_scan_product",
    UserAuthorizeInvoice = "user_authorize_invoice", UpdateInvoiceStatus = "update_invoice_status",
    SubmitInvoiceTitle = "submit_invoice_title", WxaMediaCheck = "wxa_media_check",
}

impl EventKind {
    /// The kind that WeChat writes as `name`, in any case.
    pub fn named(name: &str) -> Self {
        Self::ALL
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name))
            .map_or(Self::Other, |(kind, _)| *kind)
    }

    /// Whether the event belongs in the history that people read. Reports of a place, page views and results of our own
    /// sending or of the platform's checks are only counted.
    pub const fn is_kept(self) -> bool {
        !matches!(
            self,
            Self::Location
                | Self::View
                | Self::ViewMiniprogram
                | Self::TemplateSendJobFinish
                | Self::MassSendJobFinish
                | Self::PublishJobFinish
                | Self::SubscribeMsgSent
                | Self::DebugDemo
                | Self::CardPassCheck
                | Self::CardNotPassCheck
                | Self::CardSkuRemind
                | Self::CardPayOrder
                | Self::QualificationVerifySuccess
                | Self::QualificationVerifyFail
                | Self::NamingVerifySuccess
                | Self::NamingVerifyFail
                | Self::AnnualRenew
                | Self::VerifyExpired
                | Self::PoiCheckNotify
                | Self::MerchantOrder
                | Self::WxaMediaCheck
                | Self::UserInfoModified
                | Self::UserAuthorizationRevoke
                | Self::UserAuthorizationCancellation
        )
    }

    /// Whether a tap of this kind allows three pushes for one minute (WeChat: 客服消息介绍). Pages opened by VIEW do not.
    pub const fn opens_tap_window(self) -> bool {
        matches!(
            self,
            Self::Click | Self::ScancodePush | Self::ScancodeWaitmsg | Self::Subscribe | Self::Scan
        )
    }

    /// Whether an answer that waits for the follower is handed out now (messages, CLICK, SCAN, subscribe).
    pub const fn collects_held(self) -> bool {
        matches!(self, Self::Click | Self::Scan | Self::Subscribe)
    }
}

impl Event {
    /// The scene of a parametric QR code: the key of a SCAN, or what follows `qrscene_` in the key of a subscribe.
    pub fn scene(&self) -> Option<&str> {
        let key = self.key.as_deref()?;
        match self.kind {
            EventKind::Scan => Some(key),
            EventKind::Subscribe => key.strip_prefix("qrscene_"),
            _ => None,
        }
    }

    /// The text of a direct field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|field| match &field.value {
            FieldValue::Text(text) if &*field.name == name => Some(&**text),
            _ => None,
        })
    }
}

impl Content {
    /// The word the API and the metrics use for this kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Image { .. } => "image",
            Self::Voice { .. } => "voice",
            Self::Video { .. } => "video",
            Self::ShortVideo { .. } => "shortvideo",
            Self::Location { .. } => "location",
            Self::Link { .. } => "link",
            Self::File { .. } => "file",
            Self::MiniProgramPage { .. } => "miniprogrampage",
            Self::Event(_) => "event",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The words that rules match: what was typed, or heard.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            Self::Voice { recognition, .. } => {
                recognition.as_deref().filter(|heard| !heard.is_empty())
            }
            _ => None,
        }
    }

    /// Whether this is WeChat's stand-in for something it cannot forward, or an empty text.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Text { text, .. } if text.trim().is_empty() || &**text == UNSUPPORTED_TEXT)
    }

    /// What a person reading the history sees in its place.
    pub fn shown(&self) -> String {
        match self {
            Self::Text { text, .. } => text.to_string(),
            Self::Voice { recognition, .. } => recognition.as_deref().unwrap_or("").to_owned(),
            Self::Location {
                label,
                latitude,
                longitude,
                ..
            } => {
                if label.is_empty() {
                    format!("{latitude},{longitude}")
                } else {
                    label.to_string()
                }
            }
            Self::Link { title, url, .. } => format!("{title} {url}").trim().to_owned(),
            Self::File { title, .. } | Self::MiniProgramPage { title, .. } => title.to_string(),
            Self::Event(event) => match &event.key {
                Some(key) => format!("{} {key}", event.name),
                None => event.name.to_string(),
            },
            Self::Unknown { msg_type, .. } => msg_type.to_string(),
            Self::Image { .. } | Self::Video { .. } | Self::ShortVideo { .. } => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_names_match_in_any_case() {
        assert_eq!(EventKind::named("scan"), EventKind::Scan);
        assert_eq!(EventKind::named("Click"), EventKind::Click);
        assert_eq!(EventKind::named("no_such_event"), EventKind::Other);
    }
}
