//! Starts the real binary with good and bad configurations and looks at exit codes and messages.

use std::process::Output;

use crate::support::{Setup, World};

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn with_config(config: &str) -> Setup {
    Setup {
        config: config.to_owned(),
        ..Setup::default()
    }
}

#[test]
fn a_bad_configuration_stops_the_start_with_one_clear_line_and_exit_2() {
    let stopped = with_config("[account.shop]\napp_id = \"wx1\"\nmode = \"secure\"\ntoken = \"T\"\naes_key = \"wrong-and-secret\"\n").into_stopped();
    for command in [
        &["serve"][..],
        &["config", "show"],
        &["healthcheck"],
        &["token", "list"],
    ] {
        let output = stopped.run(command);
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(
            stderr(&output).starts_with("wxreply.toml:5:11: "),
            "{}",
            stderr(&output)
        );
        assert!(
            !stderr(&output).contains("wrong-and-secret") && !stderr(&output).contains("panicked")
        );
    }
    assert!(!stopped.path().join("data").exists());
    let output = stopped.run(&["serve", "--config", "nowhere.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nowhere.toml"));
}

#[test]
fn wrong_usage_is_exit_2_and_help_is_exit_0() {
    let stopped = Setup::default().into_stopped();
    assert_eq!(stopped.run(&["frobnicate"]).status.code(), Some(2));
    assert_eq!(
        stopped.run(&["serve", "--port", "1"]).status.code(),
        Some(2)
    );
    let help = stopped.run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for command in ["serve", "config", "token", "healthcheck"] {
        assert!(stdout(&help).contains(command), "{command}");
        assert_eq!(stopped.run(&[command, "--help"]).status.code(), Some(0));
    }
}

#[test]
fn config_show_prints_what_counts_and_where_it_came_from() {
    let mut setup = Setup::default();
    setup
        .variables
        .insert("WXREPLY_LOG".to_owned(), "debug".to_owned());
    let stopped = setup.into_stopped();
    let shown = stopped.run(&["config", "show", "--origin"]);
    let text = stdout(&shown);
    for line in [
        "log = \"debug\"    # $WXREPLY_LOG",
        "data = \"data\"    # default",
        "token = \"********\"    # wxreply.toml:",
        "# WXREPLY_API_TOKEN = \"********\"    # $WXREPLY_API_TOKEN",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("Tok3n") && !text.contains(crate::support::TOKEN));
    let without = stopped.run(&["config", "show"]);
    let again = with_config(stdout(&without))
        .into_stopped()
        .run(&["config", "show"]);
    assert!(
        stderr(&again).contains("aes_key"),
        "what is masked does not start by accident: {}",
        stderr(&again)
    );
}

#[test]
fn the_example_is_a_configuration() {
    let example = Setup::default()
        .into_stopped()
        .run(&["config", "show", "--example"]);
    let stopped = with_config(stdout(&example)).into_stopped();
    let shown = stopped.run(&["config", "show"]);
    assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
}

#[test]
fn accounts_may_come_from_the_environment_alone() {
    let mut setup = with_config("listen = \"127.0.0.1:0\"\nlog_format = \"json\"\n");
    for (name, value) in [
        ("APP_ID", "wx1"),
        ("MODE", "plain"),
        ("TOKEN", "Tok3n-plain"),
    ] {
        setup
            .variables
            .insert(format!("WXREPLY_ACCOUNT__PLAIN__{name}"), value.to_owned());
    }
    let world = setup.start();
    assert!(
        world
            .says("plain", "oFollower1", "几点开门")
            .text()
            .contains("10:00")
    );
}

#[test]
fn a_second_process_on_the_same_data_says_so() {
    let world = World::start();
    let second = world.run(&["serve"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(
        stderr(&second).contains("another wxreply already uses"),
        "{}",
        stderr(&second)
    );
    assert_eq!(world.request("GET", "/readyz", &[], b"").status, 200);
}

#[test]
fn an_address_in_use_is_named() {
    let world = World::start();
    let other = Setup::default().with_top("").into_stopped();
    let mut command = other.command(&["serve"]);
    let output = command
        .env("WXREPLY_LISTEN", world.address.to_string())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains(&format!("cannot listen on {}", world.address)),
        "{}",
        stderr(&output)
    );
}

#[test]
fn broken_rules_and_no_good_revision_stop_the_start_with_the_diagnostics() {
    let mut setup = Setup::default();
    setup.rules.insert(
        "20-bad.toml".to_owned(),
        "[[rule]]\nid = \"x\"\nanny = [\"y\"]\nreply = \"z\"\n".to_owned(),
    );
    let stopped = setup.into_stopped();
    let output = stopped.run(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("20-bad.toml:3"),
        "{}",
        stderr(&output)
    );
    std::fs::remove_dir_all(stopped.path().join("rules")).unwrap();
    assert_eq!(stopped.run(&["serve"]).status.code(), Some(2));
}

#[test]
fn healthcheck_asks_the_running_server() {
    let world = Setup::default().start();
    assert_eq!(world.run(&["healthcheck"]).status.code(), Some(0));
    let (stopped, status) = world.stop();
    assert_eq!(status.code(), Some(0), "SIGTERM is a clean end");
    let output = stopped.run(&["healthcheck"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_was_said_before_a_stop_is_there_after_it() {
    let world = World::start();
    world.says("plain", "oFollower1", "有人吗");
    let (stopped, _) = world.stop();
    let world = stopped.start();
    assert_eq!(world.conversation("oFollower1")["state"], "waiting");
}
