use super::*;
use proptest::prelude::*;
use serde_json::json;

const FILE: &str = r#"# 常见问题,负责人小王
[defaults]
accounts = ["shop"]

# 营业时间
[[rule]]
id    = "hours"            # 别改
any   = [
  "几点开门",   # 最常问
  "营业时间",
]
reply = "每天 10:00 到 22:00"

  [rule.handoff]
  priority = "high"

[[ "rule" ]] # 第二条
id = "parking"
exact = ["停车"]
reply = '''
[[rule]]
id = "fake"
'''


# 结尾
[[test]]
say = "停车"
expect = "parking"
"#;

fn located(text: &str, id: &str) -> Located {
    find(text, id).unwrap().unwrap()
}

fn map(json: Json) -> Map<String, Json> {
    json.as_object().unwrap().clone()
}

#[test]
fn a_rule_is_found_with_its_own_text_and_line() {
    let hours = located(FILE, "hours");
    assert_eq!(hours.line, 6);
    assert!(hours.toml.starts_with("[[rule]]\nid    = \"hours\""));
    assert!(
        hours.toml.ends_with("priority = \"high\""),
        "{}",
        hours.toml
    );
    let parking = located(FILE, "parking");
    assert!(parking.toml.starts_with("[[ \"rule\" ]] # 第二条"));
    assert!(parking.toml.ends_with("'''"), "{}", parking.toml);
    assert_eq!(find(FILE, "fake"), Ok(None));
    assert_eq!(
        find(&format!("{FILE}\n[[rule]]\nid = \"hours\"\n"), "hours"),
        Err(EditError::Twice)
    );
}

#[test]
fn setting_keys_keeps_comments_order_and_blank_lines() {
    let set = map(json!({
        "any": ["几点开门", "几点关门"],
        "reply": "每天 9:00 到 21:00",
        "priority": 5,
    }));
    let text = change(FILE, &located(FILE, "hours"), &set, &[]).unwrap();
    insta::assert_snapshot!(crate::rules::difference::unified("x", FILE, &text), @r#"
    --- a/x
    +++ b/x
    @@ -7,9 +7,10 @@
     id    = "hours"            # 别改
     any   = [
       "几点开门",   # 最常问
    -  "营业时间",
    +  "几点关门",
     ]
    -reply = "每天 10:00 到 22:00"
    +reply = "每天 9:00 到 21:00"
    +priority = 5
     
       [rule.handoff]
       priority = "high"
    "#);
}

#[test]
fn a_table_gives_way_to_a_value_and_keys_go() {
    let set = map(json!({"handoff": {"priority": "low", "reason": "x"}}));
    let unset = ["reply".to_owned(), "nothing".to_owned()];
    let text = change(FILE, &located(FILE, "hours"), &set, &unset).unwrap();
    let hours = located(&text, "hours").toml;
    assert!(
        hours.contains("handoff = { priority = \"low\", reason = \"x\" }"),
        "{hours}"
    );
    assert!(
        !hours.contains("[rule.handoff]") && !hours.contains("reply"),
        "{hours}"
    );
    assert!(text.contains("\n\n[[ \"rule\" ]] # 第二条\n"));
}

#[test]
fn what_toml_cannot_hold_is_refused() {
    let hours = located(FILE, "hours");
    for bad in [json!({"reply": null}), json!({"any": ["a", null]})] {
        assert!(matches!(
            change(FILE, &hours, &map(bad), &[]),
            Err(EditError::Value(_))
        ));
    }
    for bad in [
        "",
        "id = \"x\"",
        "[rule]\nid = \"x\"",
        "[[rule]]\nid = \"x\"\n[[rule]]\nid = \"y\"",
        "[[rule]]\nid = \"x\"\n[[test]]\nsay = \"y\"",
    ] {
        assert_eq!(
            replace(FILE, &hours, bad),
            Err(EditError::NotOneRule),
            "{bad}"
        );
        assert_eq!(append(FILE, bad), Err(EditError::NotOneRule), "{bad}");
    }
    assert!(matches!(append(FILE, "[[rule]"), Err(EditError::Syntax(_))));
}

#[test]
fn rules_are_replaced_added_and_removed_in_the_files_own_line_ends() {
    for file in [FILE.to_owned(), FILE.replace('\n', "\r\n")] {
        let ends = newline(&file);
        let new = "[[rule]]\nid = \"hours\"\nany = [\"x\"]\nreply = \"y\"\n";
        let text = replace(&file, &located(&file, "hours"), new).unwrap();
        let hours = located(&text, "hours");
        assert_eq!(hours.toml, new.trim_end().replace('\n', ends));
        assert_eq!(text.matches("\r\n").count() > 0, ends == "\r\n");
        assert_eq!(
            text.contains("\r\n"),
            !text.replace("\r\n", "").contains('\n')
        );

        let text = append(&file, &new.replace("hours", "late")).unwrap();
        assert!(text.starts_with(&file) && text.ends_with(&format!("reply = \"y\"{ends}")));
        let late = located(&text, "late");
        assert_eq!(
            remove(&text, &late),
            file,
            "what was added goes without a trace"
        );

        let text = remove(&file, &located(&file, "hours"));
        assert!(!text.contains("营业时间") && text.contains("负责人小王"));
        assert!(
            text.contains(&format!("[\"shop\"]{ends}{ends}[[ \"rule\" ]]")),
            "{text}"
        );
    }
    assert_eq!(
        append("", "[[rule]]\nid = \"a\"").unwrap(),
        "[[rule]]\nid = \"a\"\n"
    );
    assert_eq!(
        remove(
            "[[rule]]\nid = \"a\"\n",
            &located("[[rule]]\nid = \"a\"\n", "a")
        ),
        ""
    );
}

#[test]
fn the_comment_that_begins_a_file_stays_when_its_first_rule_goes() {
    let text = "# 关于这个文件\n[[rule]]\nid = \"a\"\n\n# 关于 b\n[[rule]]\nid = \"b\"\n";
    assert_eq!(
        remove(text, &located(text, "a")),
        "# 关于这个文件\n# 关于 b\n[[rule]]\nid = \"b\"\n"
    );
    assert_eq!(
        remove(text, &located(text, "b")),
        "# 关于这个文件\n[[rule]]\nid = \"a\"\n"
    );
}

fn rule_at(text: &str, span: Range<usize>) -> Located {
    Located {
        toml: text[span.clone()].to_owned(),
        line: 1,
        span,
    }
}

/// Pieces that files are made of, some of them unusual.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "# 注释\n",
        "\n",
        "\r\n",
        "  \t\n",
        "[defaults]\naccounts = [ 'shop' ] # 尾\n",
        "[[rule]]\n",
        "[[ rule ]]   # 头\r\n",
        "id = \"a\"\n",
        "id = 'b'\r\n",
        "any=[\"甲\",\n\n  '乙', # 丙\n]\n",
        "any = [ [\"x\"], [] ,]\n",
        "reply = \"\"\"\n[[rule]]\nid = \"no\"\"\"\"\n",
        "reply.text = 'x' # 尾\n",
        "[rule.form]\nstep = { a = 1, b = { c = [1,2] } }\n",
        "[rule.form]\nstep = {\n  a = 1, # 1.1\n}\n",
        "[[rule.replies]]\ntext = \"\\u4f60\"\n",
        "[[test]]\nsay = 'x'\n",
        "x = 1979-05-27T07:32:00Z\ny = 0x_ff\n",
        "= broken\n",
        "[[rule]",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_of_nothing_changes_no_byte(pieces in prop::collection::vec(piece(), 0..14)) {
        let text = pieces.concat();
        for span in rules(&text) {
            let rule = rule_at(&text, span);
            if let Ok(same) = change(&text, &rule, &Map::new(), &["nothing".to_owned()]) {
                prop_assert_eq!(&same, &text);
            }
        }
    }

    #[test]
    fn what_is_set_and_unset_again_leaves_no_trace(pieces in prop::collection::vec(piece(), 0..14)) {
        let text = pieces.concat();
        for span in rules(&text) {
            let rule = rule_at(&text, span.clone());
            let lines = rule.toml.matches('\n').count();
            let is_mixed = ![0, lines].contains(&rule.toml.matches("\r\n").count());
            if is_mixed {
                continue;
            }
            if let Ok(changed) = change(&text, &rule, &map(json!({"priority": 7})), &[]) {
                let end = changed.len() - (text.len() - span.end);
                let rule = rule_at(&changed, span.start..end);
                let back = change(&changed, &rule, &Map::new(), &["priority".to_owned()]).unwrap();
                prop_assert_eq!(&back, &text);
            }
        }
    }

    #[test]
    fn an_edit_of_one_rule_leaves_every_other_byte(pieces in prop::collection::vec(piece(), 0..14)) {
        let text = pieces.concat();
        let set = map(json!({"priority": 7}));
        for span in rules(&text) {
            let rule = rule_at(&text, span.clone());
            if let Ok(changed) = change(&text, &rule, &set, &[]) {
                prop_assert!(changed.starts_with(text.get(..span.start).unwrap()));
                prop_assert!(changed.ends_with(text.get(span.end..).unwrap()));
                prop_assert!(changed.contains("priority = 7"));
            }
        }
    }

    #[test]
    fn any_text_is_cut_without_a_panic(text in "[\\[\\]{}\"'=.#\\r\\n a-c规]{0,60}", id in "[a-c]{0,2}") {
        let _ = find(&text, &id);
    }
}
