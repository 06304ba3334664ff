//! Kills the server in the middle of publishing.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;

use super::{answer, rule, setup};

const FILES: usize = 12;

/// A dozen files, each with comments enough that writing takes a while.
fn files(reply: &str) -> BTreeMap<String, String> {
    let file = |n: usize| {
        let padding = format!("# {reply}\n").repeat(2000);
        let text = rule(&format!("r{n}"), &format!("第{n}号"), reply) + &padding;
        (format!("{n:02}.toml"), text)
    };
    (0..FILES).map(file).collect()
}

#[test]
fn every_file_is_the_old_or_the_new_one_after_kill_9() {
    let (old, new) = (files("旧的"), files("新的"));
    for round in 0..3 {
        let mut setup = setup();
        setup.rules = old.clone();
        let world = setup.start();
        let rules = world.path().join("rules");
        let body = json!({"files": new});
        let stopped = std::thread::scope(|scope| {
            let (address, pid) = (world.address, world.pid().to_string());
            scope.spawn(move || {
                let agent = ureq::Agent::new_with_defaults();
                let _ = agent
                    .post(format!("http://{address}/api/v1/rules/publish"))
                    .header("authorization", format!("Bearer {}", crate::support::TOKEN))
                    .send_json(&body);
            });
            // Each round a little later: when the first is being written, and when some are in their places.
            let watched = format!("{:02}.toml", round * 5);
            let hidden = rules.join(format!(".{watched}.wxreply-new"));
            let is_new =
                || fs::read_to_string(rules.join(&watched)).is_ok_and(|text| text == new[&watched]);
            while !(if round % 2 == 0 {
                hidden.exists() || is_new()
            } else {
                is_new()
            }) {
                std::hint::spin_loop();
            }
            std::process::Command::new("kill")
                .args(["-9", &pid])
                .status()
                .unwrap();
            world.kill()
        });
        for (name, text) in &old {
            let found = fs::read_to_string(stopped.path().join("rules").join(name)).unwrap();
            assert!(found == *text || found == new[name], "{name} is neither");
        }
        let world = stopped.start();
        let said = answer(&world, "第0号");
        let first = fs::read_to_string(world.path().join("rules/00.toml")).unwrap();
        let expected = if first == old["00.toml"] {
            "旧的"
        } else {
            "新的"
        };
        assert!(said.contains(expected), "{said}");
        let names = fs::read_dir(world.path().join("rules")).unwrap();
        assert_eq!(
            names.count(),
            FILES,
            "nothing half-written is left after the start"
        );
    }
}
