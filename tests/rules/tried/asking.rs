//! Lists the keys by which a rule asks: the follower, another system; and those that test rules.

use super::{Trial, trial};

pub const TRIALS: &[Trial] = &[
    trial(
        &["form", "step"],
        r#"
[[rule]]
id    = "book"
regex = '^订(?<what>.+)$'
form  = { timeout = "5m", cancel = ["算了"], on_cancel = "不订了。", on_timeout = "想订再说。" }
reply = "{what},{name},{tel}。"
[[rule.step]]
ask   = "订{what},贵姓?"
save  = "name"
[[rule.step]]
ask   = "{name},电话?"
save  = "tel"
check = '^\d{11}$'
retry = "11 位。"
tries = 3
then  = "cancel"
"#,
        &["订位子"],
    ),
    trial(
        &["hook"],
        r#"
[[rule]]
id    = "order"
regex = '查(?<no>.+)'
[rule.hook]
url     = "https://erp.example.com/order/{no}?at={now}"
body    = { no = "{no}", who = "{follower.id}" }
secret  = "env:ORDER_HOOK_SECRET"
timeout = "500ms"
reply   = "{no}:{hook.state}"
missing = "没查到 {no}。"
error   = { reply = "忙。", handoff = { priority = "high" } }
"#,
        &["查12/3?x=y&z --at 2026-06-03T12:00 --follower oZhao"],
    ),
    trial(
        &["tests", "test"],
        r#"
[[rule]]
id    = "hours"
any   = ["几点"]
reply = "十点。"
tests = [{ say = "几点开门", expect = "hours" }]
[[test]]
name  = "说两句"
turns = [{ say = "几点", has = "十点" }, { say = "谢谢", after = "1m", expect = "" }]
"#,
        &["几点", "谢谢"],
    ),
];
