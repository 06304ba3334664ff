//! Lists the keys that say where, when and to whom a rule speaks.

use super::{Trial, trial};

pub const TRIALS: &[Trial] = &[
    trial(
        &["accounts", "defaults"],
        r#"
[defaults]
accounts = ["shop", "cafe"]
owner    = "小王"
[[rule]]
id    = "hours"
any   = ["几点"]
reply = "十点。"
[[rule]]
id       = "bar"
any      = ["几点"]
accounts = ["bar"]
reply    = "十八点。"
"#,
        &[
            "几点",
            "几点 --account cafe",
            "几点 --account bar",
            "几点 --account kiosk",
        ],
    ),
    trial(
        &["account"],
        r#"
[[rule]]
id    = "song"
any   = ["主题曲"]
reply = "点这里听。"
[rule.account.service]
pick    = "all"
replies = [{ text = "歌在旗舰号上。" }, { text = "搜「旗舰店」。" }]
"#,
        &["主题曲 --account shop", "主题曲 --account service"],
    ),
    trial(
        &["during", "outside"],
        r#"
[[rule]]
id     = "now"
any    = ["人工"]
during = "shop"
reply  = "我叫同事来。"
[[rule]]
id      = "later"
any     = ["人工"]
outside = ["shop"]
reply   = "同事 {calendar.shop.next_open} 上班。"
[[rule]]
id     = "drink"
any    = ["喝酒"]
during = ["bar", "mon-fri 12:00-13:30"]
reply  = "开着。"
[[rule]]
id     = "tea"
any    = ["tea"]
during = "london"
reply  = "Open."
"#,
        &[
            "人工 --at 2027-02-04T17:59",
            "人工 --at 2027-02-04T18:00",
            "人工 --at 2027-02-13T12:30",
            "人工 --at 2027-02-14T10:00",
            "喝酒 --at 2027-06-04T01:59",
            "喝酒 --at 2027-06-04T02:00",
            "喝酒 --at 2027-06-04T13:00",
            "tea --at 2027-07-01T15:59",
            "tea --at 2027-07-01T16:30",
        ],
    ),
    trial(
        &["between"],
        r#"
[[rule]]
id      = "moon"
any     = ["月饼"]
between = ["2027-09-01", 2027-09-15]
reply   = "券到 9 月 15 日。"
"#,
        &[
            "月饼 --at 2027-08-31T23:59:59",
            "月饼 --at 2027-09-01T00:00",
            "月饼 --at 2027-09-15T23:59",
            "月饼 --at 2027-09-16T00:00",
        ],
    ),
    trial(
        &["followers"],
        r#"
[[rule]]
id        = "vip"
any       = ["折扣"]
followers = { tag = "vip" }
reply     = "八折。"
[[rule]]
id        = "first"
any       = ["折扣"]
followers = { first_visit = true }
reply     = "第一次来九折。"
[[rule]]
id        = "again"
any       = ["折扣"]
followers = { first_visit = false }
reply     = "没有折扣。"
"#,
        &["折扣"],
    ),
    trial(
        &["cooldown"],
        r#"
[[rule]]
id       = "where"
any      = ["地址"]
reply    = "人民路 1 号。"
cooldown = { per = "follower", every = "10m", then = "short", short = "上面那条就是。" }
"#,
        &["地址"],
    ),
];
