//! Holds the rule files of a small restaurant with two accounts.

/// What followers ask all the time.
pub const BASICS: &str = r#"
[[rule]]
id    = "hours"
any   = ["几点开门", "几点关门", "营业时间"]
reply = "每天 11:00 到 21:30。"

[[rule]]
id    = "parking"
any   = ["停车"]
reply = "楼下 B2,吃饭免两小时。"

[[rule]]
id    = "invoice"
any   = ["发票"]
reply = "小票上的码扫一下就能开。"

[[rule]]
id   = "book"
any  = ["订位"]
form = { timeout = "5m" }
[[rule.step]]
ask   = "几位?"
save  = "people"
check = '^\d{1,2}$'
retry = "写个数字就行,例如 6。"
tries = 2
then  = "handoff"
[[rule.step]]
ask  = "哪天几点?"
save = "when"
[[rule.replies]]
text = "{people} 位,{when},记下了。"
"#;

/// People are there from nine to six, and not on the two days of a holiday.
pub const CALENDAR: &str = r#"
[calendar.desk]
tz     = "Asia/Shanghai"
weekly = { mon-fri = "09:00-18:00", sat-sun = "09:00-18:00" }
closed = ["2026-06-04", "2026-06-05"]
"#;

/// What is promised, and who is told on three channels whose addresses and secrets are in the environment.
pub const DESK: &str = r#"
ack           = "收到,{topic}我请同事来回答,{promise}。"
ack_off       = "收到,{topic}我记下了。店里现在没人,{promise}。"
calendar      = "desk"
claim_timeout = "10m"
quiet_after   = "30m"

[sla.urgent]
first  = "5m"
next   = "10m"
clock  = "always"
repeat = ["0m", "2m", "5m", "10m"]
tiers  = ["0m", "5m", "15m"]

[sla.high]
first  = "30m"
next   = "60m"
clock  = "daytime"
repeat = ["0m", "15m", "30m"]
tiers  = ["0m", "30m"]

[sla.normal]
first  = "2h"
next   = "2h"
clock  = "business"
repeat = ["0m"]
tiers  = ["0m"]

[[alert]]
name   = "duty"
kind   = "webhook"
url    = "env:HOOK_DUTY_URL"
secret = "env:HOOK_DUTY_KEY"
tier   = 1
night  = true

[[alert]]
name   = "lead"
kind   = "webhook"
url    = "env:HOOK_LEAD_URL"
secret = "env:HOOK_LEAD_KEY"
tier   = 2

[[alert]]
name   = "owner"
kind   = "webhook"
url    = "env:HOOK_OWNER_URL"
secret = "env:HOOK_OWNER_KEY"
tier   = 3
"#;

/// Words of danger.
pub const CRISIS: &str = r#"
[[crisis]]
tier  = "urgent"
name  = "食品安全"
words = ["异物", "食物中毒"]
reply = "非常抱歉!人有没有不舒服?值班经理已经收到,{promise}。"

[[crisis]]
tier  = "high"
name  = "投诉"
words = ["投诉"]
reply = "对不起,让你不痛快了。店长亲自处理,{promise}。"
"#;

/// What people say again and again.
pub const CANNED: &str = r#"
[[canned]]
id   = "late"
text = "让你久等了,我问过厨房了:可以。"
"#;

/// Questions that no rule covers, none like another.
pub const UNCOVERED: [&str; 25] = [
    "能带狗吗",
    "有宝宝椅吗",
    "可以自己带酒吗",
    "生日有没有长寿面",
    "有无麸质的主食吗",
    "能不能少放盐",
    "你们招服务员吗",
    "昨天雨伞落在店里了",
    "会员卡怎么充值",
    "积分能换什么",
    "WiFi密码是多少",
    "有没有包间可以唱歌",
    "鱼是现杀的吗",
    "辣度可以选吗",
    "打包盒要钱吗",
    "门口有台阶轮椅进得来吗",
    "空调能开冷一点吗",
    "加盟怎么谈",
    "有没有素火锅",
    "今天的汤是什么",
    "米饭可以续吗",
    "孩子多高免费",
    "店里能拍视频吗",
    "你们老板姓什么",
    "有充电宝租吗",
];

/// What rules cover.
pub const COVERED: [&str; 4] = ["几点关门?", "停车方便吗", "能开发票吗", "营业时间"];
