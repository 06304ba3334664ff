//! Lists every kind of remark about rule files: the one table of codes.
//! Owns: codes, their severity and title. Uses: nothing. Never: finds anything.

use serde::{Serialize, Serializer};

/// How bad a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The rule set cannot run.
    Error,
    /// It runs, but something is probably not meant so.
    Warning,
    /// Something could be better; never counts.
    Hint,
}

macro_rules! codes {
    ($($variant:ident = $code:literal $severity:ident $zh:literal $en:literal;)+) => {
        /// A kind of remark.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $en] $variant,)+
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as printed: stable over versions.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// How bad it is.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// Its page in `docs/lints`.
            pub(super) const fn page(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!("../../../docs/lints/", $code, ".md")),)+
                }
            }

            /// What it is about, in Chinese and English.
            pub const fn title(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($zh, $en),)+ }
            }
        }
    };
}

codes! {
    FullWidth = "E001" Error "全角标点" "full-width punctuation";
    Encoding = "E002" Error "编码不对" "wrong encoding";
    Syntax = "E003" Error "TOML 写法不对" "not TOML";
    TooBig = "E004" Error "文件太大" "file too large";
    TooDeep = "E005" Error "嵌套太深" "nested too deep";
    UnknownField = "E101" Error "不认识的字段" "unknown field";
    DuplicateId = "E102" Error "id 重复" "duplicate id";
    TooLong = "E103" Error "文字太长" "text too long";
    Regex = "E104" Error "正则不对" "bad regex";
    MissingFile = "E105" Error "文件不存在" "no such file";
    UnknownPlaceholder = "E106" Error "不认识的变量" "unknown placeholder";
    TestFails = "E107" Error "测试没通过" "test fails";
    SecretInFile = "E108" Error "密钥写在文件里" "secret in the file";
    WrongType = "E111" Error "值的类型不对" "wrong type of value";
    BadId = "E112" Error "id 缺少或不合规" "missing or bad id";
    NoTrigger = "E113" Error "没有触发条件" "no trigger";
    NoReply = "E114" Error "没有回复" "no reply";
    EmptyKeyword = "E115" Error "关键词是空的" "empty keyword";
    BadValue = "E116" Error "值不合规" "bad value";
    UnknownAccount = "E117" Error "没有这个公众号" "unknown account";
    Together = "E118" Error "字段搭配不对" "fields that do not go together";
    BadReply = "E119" Error "回复写法不对" "bad reply";
    NoRules = "E120" Error "一条规则也没有" "no rules";
    TooMany = "E121" Error "数量超限" "too many";
    MediaSize = "E122" Error "媒体文件太大" "media file too large";
    MediaType = "E123" Error "媒体文件类型不对" "wrong type of media file";
    BadTable = "E130" Error "表格用不了" "bad table";
    UnknownRule = "E131" Error "没有这条规则" "no such rule";
    NotAllowed = "E132" Error "不能放过的代码" "cannot be allowed";
    TooBroad = "W201" Warning "正则太宽" "regex too broad";
    NeverWins = "W202" Warning "永远轮不到" "can never win";
    Tie = "W203" Warning "两条规则不分胜负" "two rules tie";
    Advert = "W204" Warning "像广告" "reads like an ad";
    StockPhrase = "W205" Warning "套话" "stock phrase";
    Over = "W207" Warning "过期了" "over";
    LongClosed = "W208" Hint "关得太久" "closed for long";
    PersonalData = "W209" Warning "问了个人信息" "asks for personal data";
    NoTest = "W210" Hint "没有测试" "no test";
    NoOwner = "W211" Hint "没有负责人" "no owner";
    AtOnce = "W212" Warning "答应马上" "promises at once";
    NeverMatches = "W213" Warning "永远匹配不到" "can never match";
    NeverSent = "W214" Warning "发不出去" "never sent";
    ShortKeyword = "W215" Warning "关键词太短" "keyword too short";
    Repeated = "W216" Hint "同一个说法写了两次" "the same wording twice";
    Joined = "W217" Warning "几个词写成了一个" "several words in one";
    UnusedCapture = "W218" Hint "记下了没有用" "captured and not used";
    Unused = "W219" Hint "没有用到" "not used";
    UnknownFile = "W220" Warning "不读的文件" "file not read";
    NoEffect = "W221" Warning "还不起作用" "no effect yet";
    ReviewDue = "W222" Warning "到了该复查的日子" "review is due";
    SameReply = "W223" Hint "两条规则说的一样" "two rules say the same";
    LongReply = "W224" Hint "在手机上太长" "long for a phone";
    LinkRunsOn = "W225" Warning "网址和后面的字连在一起" "link runs into text";
    PlainHttp = "W226" Hint "网址没有加密" "link is not encrypted";
    CaseOnly = "W227" Warning "只有大小写不同" "differs in case only";
    Contained = "W228" Hint "短词在长词里面" "one keyword inside another";
    LineEnds = "W229" Hint "Windows 换行" "Windows line ends";
    WideBraces = "W230" Warning "全角大括号" "full-width braces";
    NotUploaded = "W239" Warning "媒体文件没传上去" "media file not uploaded";
    Idle = "W240" Warning "写了没用" "without effect";
    DuplicateRow = "W241" Warning "表格里重复的行" "row twice in a table";
}

impl Code {
    /// The code that is printed so, in capitals or not.
    pub fn named(text: &str) -> Option<Self> {
        let is_named = |code: &&Self| code.text().eq_ignore_ascii_case(text);
        Self::ALL.iter().find(is_named).copied()
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}
