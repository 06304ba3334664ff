//! Lists every key of `wxreply.toml`: the one place where a key is named, defaulted and documented.
//! Owns: names, defaults, words for people. Uses: nothing. Never: reads a file or the environment.

use std::fmt::Write as _;

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Its path; `*` stands for an account's name.
    pub path: &'static str,
    /// One text, or a list of them.
    pub shape: Shape,
    /// What holds when nobody sets it, as TOML.
    pub default: Option<&'static str>,
    /// A value to show, as TOML.
    pub example: &'static str,
    /// Whether the server cannot start without it.
    pub required: bool,
    /// Whether it is never shown, and may come from a file that `…_FILE` names.
    pub secret: bool,
    /// What it is, in Chinese.
    pub zh: &'static str,
    /// What it is, in English.
    pub en: &'static str,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `"…"`
    Text,
    /// `["…", "…"]`; comma-separated in the environment.
    List,
}

const KEY: Key = Key {
    path: "",
    shape: Shape::Text,
    default: None,
    example: "",
    required: false,
    secret: false,
    zh: "",
    en: "",
};

/// Every key, in the order in which people read them; sections stand together.
pub const KEYS: &[Key] = &[
    Key {
        path: "listen",
        default: Some(r#""127.0.0.1:8080""#),
        example: r#""127.0.0.1:8080""#,
        zh: "监听地址;端口 0 表示任选一个空闲端口",
        en: "Address to listen on; port 0 takes any free port",
        ..KEY
    },
    Key {
        path: "data",
        default: Some(r#""data""#),
        example: r#""data""#,
        zh: "数据目录:会话、消息、备用文件;一个目录只能有一个进程使用",
        en: "Directory of the store and the spill file; one process per directory",
        ..KEY
    },
    Key {
        path: "rules",
        default: Some(r#""rules""#),
        example: r#""rules""#,
        zh: "规则目录",
        en: "Directory of the rule files",
        ..KEY
    },
    Key {
        path: "public_url",
        example: r#""https://wx.example.com""#,
        zh: "外网地址,可以带路径前缀,所有地址都挂在这个前缀下",
        en: "Address seen from outside; a path in it prefixes every route",
        ..KEY
    },
    Key {
        path: "timezone",
        default: Some(r#""Asia/Shanghai""#),
        example: r#""Asia/Shanghai""#,
        zh: "规则里的时间用的时区(IANA 名称)",
        en: "Time zone of the rules, by its IANA name",
        ..KEY
    },
    Key {
        path: "trusted_proxies",
        shape: Shape::List,
        default: Some("[]"),
        example: r#"["127.0.0.1/32"]"#,
        zh: "可信的反向代理网段;只有来自它们的 X-Forwarded-For 才算数",
        en: "Networks of the reverse proxies whose X-Forwarded-For counts",
        ..KEY
    },
    Key {
        path: "log",
        default: Some(r#""info""#),
        example: r#""info""#,
        zh: "日志级别(RUST_LOG 写法)",
        en: "What is logged, in the syntax of RUST_LOG",
        ..KEY
    },
    Key {
        path: "log_format",
        default: Some(r#""text""#),
        example: r#""text""#,
        zh: "日志格式:text 或 json",
        en: "Form of the log: text or json",
        ..KEY
    },
    Key {
        path: "callback.max_skew",
        default: Some(r#""10m""#),
        example: r#""10m""#,
        zh: "请求时间戳与本机时间最多相差多久;\"0s\" 表示不检查",
        en: "Requests whose timestamp is further off are refused; \"0s\" turns it off",
        ..KEY
    },
    Key {
        path: "callback.deadline",
        default: Some(r#""4500ms""#),
        example: r#""4500ms""#,
        zh: "最迟多久回应微信(微信只等 5 秒)",
        en: "Latest answer to WeChat, which waits 5 seconds",
        ..KEY
    },
    Key {
        path: "desk.ack",
        default: Some(r#""收到,这个问题我请同事来回答。""#),
        example: r#""收到,这个问题我请同事来回答。""#,
        zh: "转人工时告诉粉丝的话;空着就不说;rules/_desk.toml 里写了以那里为准",
        en: "What a follower reads when a person will answer; empty: nothing; rules/_desk.toml wins",
        ..KEY
    },
    Key {
        path: "desk.ack_every",
        default: Some(r#""10m""#),
        example: r#""10m""#,
        zh: "同一个粉丝多久内只说一次",
        en: "At most once per follower in this time",
        ..KEY
    },
    Key {
        path: "hooks.allow",
        shape: Shape::List,
        example: r#"["erp.example.com", "*.example.org", "http://10.0.0.5:8080"]"#,
        zh: "规则里的 hook 可以访问的主机,默认只走 https;不写就都不能访问;内网地址要写 IP 或 localhost,写网段(172.16.0.0/12)则允许名单里的主机名解析到那里",
        en: "Hosts that hooks of rules may ask, by https unless http:// stands in front; without it none; private ones by address or localhost only; a network (172.16.0.0/12) lets listed names lead into it",
        ..KEY
    },
    Key {
        path: "alerts.allow",
        shape: Shape::List,
        example: r#"["ops.example.com", "smtp.exmail.qq.com", "http://127.0.0.1:9000"]"#,
        zh: "rules/_desk.toml 的 [[alert]] 可以访问的主机,写法同 hooks.allow,那里写过的也算;企业微信、钉钉、飞书、Slack 机器人的官方地址不用写;邮件服务器写主机名(465、587 端口)或 主机名:端口",
        en: "Hosts that the [[alert]] of rules/_desk.toml may speak to, written as in hooks.allow, whose hosts count too; the robots of WeCom, DingTalk, Feishu and Slack need not be listed; a mail server by its name (ports 465 and 587) or NAME:PORT",
        ..KEY
    },
    Key {
        path: "privacy.keep_messages",
        default: Some(r#""180d""#),
        example: r#""180d""#,
        zh: "消息内容保留多久,过后每天凌晨清除,最短 7d;\"0d\" 表示一直保留",
        en: "How long what was said is kept; what is older goes every night; 7d at least; \"0d\" keeps it for ever",
        ..KEY
    },
    Key {
        path: "account.*.app_id",
        example: r#""wx0123456789abcdef""#,
        required: true,
        zh: "开发者 ID(AppID)",
        en: "AppID",
        ..KEY
    },
    Key {
        path: "account.*.mode",
        example: r#""secure""#,
        required: true,
        zh: "消息加解密方式:plain 明文、compatible 兼容、secure 安全",
        en: "Encryption of messages: plain, compatible or secure",
        ..KEY
    },
    Key {
        path: "account.*.token",
        example: r#""a-token-of-your-own""#,
        required: true,
        secret: true,
        zh: "令牌(Token),与公众平台上填的一致",
        en: "Token, the same as on the platform's page",
        ..KEY
    },
    Key {
        path: "account.*.aes_key",
        example: r#""abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG""#,
        secret: true,
        zh: "消息加解密密钥(EncodingAESKey),43 个字符;明文方式不需要",
        en: "EncodingAESKey, 43 characters; not needed in plain mode",
        ..KEY
    },
    Key {
        path: "account.*.secret",
        example: r#""0123456789abcdef0123456789abcdef""#,
        secret: true,
        zh: "AppSecret;不填就不能主动推送,人工回答等粉丝下次来时再给",
        en: "AppSecret; without it nothing is pushed, answers wait for the follower's next visit",
        ..KEY
    },
    Key {
        path: "account.*.api_base",
        default: Some(r#""https://api.weixin.qq.com""#),
        example: r#""https://api.weixin.qq.com""#,
        zh: "微信接口地址;除本机外必须是 https",
        en: "WeChat's API; https unless it is on this machine",
        ..KEY
    },
    Key {
        path: "account.*.previous_token",
        example: r#""the-token-before""#,
        secret: true,
        zh: "更换令牌期间仍接受的旧令牌",
        en: "Token that is still accepted during a rotation",
        ..KEY
    },
    Key {
        path: "account.*.previous_aes_key",
        example: r#""GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba""#,
        secret: true,
        zh: "更换密钥期间仍接受的旧密钥",
        en: "EncodingAESKey that is still accepted during a rotation",
        ..KEY
    },
];

impl Key {
    /// The key at this path, where an account's name may stand for `*`.
    pub fn at(path: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.fits(path))
    }

    /// Whether the path names this key.
    fn fits(&self, path: &str) -> bool {
        let mut own = self.path.split('.');
        let mut other = path.split('.');
        loop {
            match (own.next(), other.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a == b || (a == "*" && !b.is_empty()) => {}
                _ => return false,
            }
        }
    }

    /// The last part of the path: the key inside its section.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The section it stands in; empty for the top of the file.
    pub fn section(&self) -> &'static str {
        self.path
            .rsplit_once('.')
            .map_or("", |(section, _)| section)
    }
}

/// A whole `wxreply.toml` with every key explained. It can be loaded as it stands.
pub fn example() -> String {
    let mut text = String::from(
        "# wxreply.toml:每一项也可以用环境变量设置,例如 WXREPLY_LISTEN、WXREPLY_ACCOUNT__SHOP__TOKEN;\n\
         # 密钥类还可以用 …_FILE 指向一个文件。相对路径以本文件所在目录为准。\n\
         # Every key may also come from the environment: WXREPLY_LISTEN, WXREPLY_ACCOUNT__SHOP__TOKEN;\n\
         # secrets also from a file that …_FILE names. Relative paths are relative to this file.\n\
         # 带 # 的行是可以不写的项。 Lines that begin with # may be left out.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            match section.strip_suffix(".*") {
                Some(parent) => {
                    let _ = writeln!(
                        text,
                        "\n# 一个公众号一节,节名也是回调地址的结尾:{{public_url}}/wx/shop\n\
                         # One section per account; its name ends the callback's address: {{public_url}}/wx/shop\n[{parent}.shop]"
                    );
                }
                None => {
                    let _ = writeln!(text, "\n[{section}]");
                }
            }
        }
        let off = if key.required || key.default.is_some() || key.path == "account.*.aes_key" {
            ""
        } else {
            "# "
        };
        let _ = writeln!(
            text,
            "\n# {}\n# {}\n{off}{} = {}",
            key.zh,
            key.en,
            key.name(),
            key.example
        );
    }
    text
}
