//! Lists the keys that say what a rule says and does.

use super::{Trial, trial};

pub const TRIALS: &[Trial] = &[
    trial(
        &[
            "reply",
            "title",
            "note",
            "source",
            "owner",
            "review_by",
            "allow",
        ],
        r#"
[[rule]]
id        = "hours"
title     = "营业时间"
any       = ["几点"]
reply     = """
周一到周五十点到二十二点,
周末到二十三点。"""
owner     = "小王"
note      = "改完告诉小王"
source    = "店长手册第 3 页"
review_by = 2027-06-30
allow     = ["W210"]
"#,
        &["几点"],
    ),
    trial(
        &["replies", "fallback"],
        r#"
[[rule]]
id      = "map"
any     = ["地图"]
replies = [{ image = "media/map.png", fallback = "人民路 1 号。" }]
[[rule]]
id      = "hello"
any     = ["你好"]
replies = [{ voice = "media_id:V1" }]
[[rule]]
id      = "film"
any     = ["视频"]
replies = [{ video = { file = "media_id:V2", title = "{today}", description = "{{三分钟" } }]
[[rule]]
id      = "song"
regex   = '^听(?<song>.+)$'
replies = [{ music = { title = "{song}", description = "夏天", url = "https://example.com/{song}.mp3", hq_url = "https://example.com/hq/{song}", cover = "media_id:T1" } }]
[[rule]]
id      = "card"
regex   = '^看(?<what>.+)$'
replies = [{ news = { title = "{what}", description = "{what}在这里", image = "https://example.com/p.jpg", url = "https://example.com/?q={what}" } }]
"#,
        &[
            "地图",
            "你好",
            "视频 --at 2026-06-03T12:00",
            "听夏天的店",
            "看红烧肉&more=1",
        ],
    ),
    trial(
        &["pick"],
        r#"
[[rule]]
id      = "joke"
any     = ["笑话"]
pick    = "random"
replies = [{ text = "甲" }, { text = "乙" }, { text = "丙" }]
[[rule]]
id      = "all"
any     = ["怎么来"]
pick    = "all"
replies = [{ text = "坐地铁。" }, { text = "2 号口出。" }, { text = "走一百米。" }]
[[rule]]
id      = "turn"
any     = ["推荐"]
pick    = "rotate"
replies = [{ text = "一" }, { text = "二" }]
"#,
        &[
            "笑话",
            "笑话 --follower oZhao",
            "讲个笑话",
            "怎么来",
            "推荐",
        ],
    ),
    trial(
        &["use_reply_of"],
        r#"
[[rule]]
id    = "hours"
any   = ["几点"]
reply = "十点,今天是{today}。"
[[rule]]
id           = "open"
any          = ["开门"]
use_reply_of = "hours"
"#,
        &["开门了吗 --at 2026-06-03T12:00"],
    ),
    trial(
        &["silent"],
        r#"
[[rule]]
id     = "spam"
any    = ["加群"]
silent = true
"#,
        &["加群领红包", "加群 --lang en"],
    ),
    trial(
        &["always"],
        r#"
[[rule]]
id     = "wifi"
any    = ["密码"]
always = true
reply  = "8 个 8。"
"#,
        &["密码"],
    ),
    trial(
        &["desk"],
        r#"
[[rule]]
id   = "desk"
any  = ["客服"]
desk = true
[[rule]]
id      = "wang"
any     = ["小王"]
replies = [{ desk = { agent = "kf1@shop" } }]
"#,
        &["客服", "找小王"],
    ),
    trial(
        &["handoff", "placeholders"],
        r#"
# placeholders: whatever can stand in braces without a capture
[[rule]]
id      = "person"
any     = ["人工"]
handoff = { priority = "high", reason = "要人工" }
reply   = "{follower.id}:前面 {queue.ahead} 位,{queue.eta},{today} {now},{calendar.shop.next_open}"
[[rule]]
id      = "refund"
any     = ["退款"]
handoff = {}
"#,
        &[
            "人工 --at 2027-02-04T18:05 --follower oZhao",
            "人工 --at 2027-02-06T10:00",
            "退款",
        ],
    ),
];
