//! Lists the keys that say what a rule answers to.

use super::{Trial, trial};

pub const TRIALS: &[Trial] = &[
    trial(
        &["exact"],
        r#"
[[rule]]
id    = "hours"
exact = ["营业时间", "WiFi密码"]
reply = "每天 10:00–22:00。"
"#,
        &[
            "營業時間?",
            "ｗｉｆｉ密码",
            "营业时间改了吗",
            "营业时间 --lang en",
        ],
    ),
    trial(
        &["any", "none"],
        r#"
[[rule]]
id    = "refund"
any   = ["退款", "退钱"]
none  = ["投诉", "被骗"]
reply = "订单页里申请。"
[[rule]]
id    = "money"
any   = ["钱"]
reply = "哪一笔?"
"#,
        &["我想退款", "退钱退款", "被骗了要退钱", "我要投诉退款"],
    ),
    trial(
        &["all"],
        r#"
[[rule]]
id    = "invoice"
all   = ["发票", "抬头"]
reply = "在订单页填。"
"#,
        &["抬头怎么写在发票上", "发票"],
    ),
    trial(
        &["regex"],
        r#"
[[rule]]
id    = "city"
regex = ['^(?<city>\p{Han}{2,5}?)的?门店$', '(?<city>[a-z]+) store']
reply = "{city}在哪,{{city}"
"#,
        &["臺北的門店?", "门店"],
    ),
    trial(
        &["table"],
        r#"
[[rule]]
id    = "store"
regex = '^(?<city>\p{Han}{2,4}?)的门店$'
table = { file = "tables/stores.csv", key = "city" }
reply = "{city}:{table.address},{table.phone}。"
[[rule]]
id    = "stores"
any   = ["门店"]
reply = "北京、上海都有。"
"#,
        &["上海的门店", "你们的门店"],
    ),
    trial(
        &["like", "min_score"],
        r#"
[[rule]]
id        = "parking"
like      = ["停车方便吗", "有没有停车场", "开车来停哪里"]
min_score = 0.9
reply     = "地下 B2。"
[[rule]]
id    = "invoice"
like  = ["发票怎么开", "能开发票吗"]
reply = "订单页里开。"
"#,
        &["有没有停车场", "发票怎么开呀", "停车贵吗", "你好"],
    ),
    trial(
        &["message"],
        r#"
[[rule]]
id      = "picture"
message = ["image", "video", "shortvideo"]
reply   = "看到了。"
[[rule]]
id      = "place"
message = "location"
reply   = "离你最近的是总店。"
[[rule]]
id      = "voice"
message = "voice"
reply   = "请打字。"
[[rule]]
id      = "link"
message = ["link", "file", "miniprogrampage"]
reply   = "打不开,请说说。"
"#,
        &[
            "--message image",
            "--message location",
            "--type voice",
            "--message link",
            "图片",
        ],
    ),
    trial(
        &["event", "scene"],
        r#"
[[rule]]
id    = "welcome"
event = "subscribe"
reply = "欢迎。"
[[rule]]
id    = "table"
event = "scan"
scene = ["table-*-*", "desk-*"]
reply = "{scene.1} 号桌。"
"#,
        &[
            "--event subscribe",
            "--event subscribe --key table-7-b",
            "--event scan --key desk-3",
            "--event scan --key door",
            "--event unsubscribe",
        ],
    ),
    trial(
        &["menu_key", "key"],
        r#"
[[rule]]
id       = "map"
event    = "menu"
menu_key = ["MAP_*", "PLAN_*"]
reply    = "地图 {menu_key.1}。"
[[rule]]
id    = "photo"
event = "pic_weixin"
key   = "PHOTO-*"
reply = "收到 {key.1}。"
"#,
        &[
            "--event menu --key MAP_2",
            "--event CLICK --key PLAN_B",
            "--event pic_weixin --key PHOTO-9",
            "--event menu --key OTHER",
        ],
    ),
    trial(
        &["priority"],
        r#"
[[rule]]
id       = "fire"
any      = ["着火"]
priority = 100
reply    = "快走,打 119。"
[[rule]]
id    = "hotpot"
exact = ["着火了火锅"]
reply = "这是一道菜。"
"#,
        &["着火了火锅"],
    ),
    trial(
        &["enabled"],
        r#"
[[rule]]
id      = "old"
exact   = ["活动"]
enabled = false
reply   = "去年的活动。"
[[rule]]
id    = "new"
any   = ["活动"]
reply = "今年的活动。"
"#,
        &["活动"],
    ),
];
