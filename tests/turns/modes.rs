//! Changes how accounts protect their messages: compatible mode, rotations, and two accounts side by side.

use wxreply::simulator::{AccountSettings, Mode};

use super::{
    LI, Plan, RULES, Shop, clear, configuration, conversations, history, lines, platform, section,
    setup,
};
use crate::support::{Signed, World, envelope, seal, text_message, unseal};

#[test]
fn compatible_mode_believes_the_ciphertext_and_not_the_clear_words_beside_it() {
    let world = World::start();
    let encrypt = seal(&text_message(LI, "请问几点开门"));
    let forged = envelope(&encrypt).replace(
        "<Encrypt>",
        "<FromUserName>oForged</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType>\
             <Content>我要投诉</Content><MsgId>1</MsgId><Encrypt>",
    );
    let query = Signed::now("both", Some(&encrypt)).query();
    let answer = world.request("POST", &format!("/wx/both?{query}"), &[], forged.as_bytes());
    let reply = unseal(&answer);
    assert!(reply.contains("10:00") && reply.contains(LI), "{reply}");
    assert_eq!(conversations(&world, "").len(), 1);
    assert!(history(&world, LI)[0].contains("请问几点开门"));
}

#[test]
fn compatible_mode_answers_wechat_in_the_envelope_and_a_clear_push_in_clear() {
    let shop = Shop::open(Plan {
        mode: Mode::Compatible,
        ..Plan::default()
    });
    let delivered = shop.li().says("几点开门").wait();
    assert_eq!(delivered.text(), Some("十点开门。"), "{delivered:?}");
    assert!(delivered.reply.unwrap().sealed);
    shop.account.change(|settings| settings.mode = Mode::Plain);
    let delivered = shop.li().says("几点开门").wait();
    assert_eq!(delivered.text(), Some("十点开门。"), "{delivered:?}");
    assert!(!delivered.reply.unwrap().sealed);
}

#[test]
fn during_a_rotation_old_and_new_work_and_answer_in_kind_afterwards_only_the_new() {
    let wechat = platform();
    let settings = AccountSettings::secure("shop", "");
    let old = (settings.token.clone(), settings.aes_key.clone().unwrap());
    let new = (
        "tokenAfter0123456789".to_owned(),
        "ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210abcdefg".to_owned(),
    );
    let renewed = AccountSettings {
        token: new.0.clone(),
        aes_key: Some(new.1.clone()),
        ..settings.clone()
    };
    let after = configuration(&section(&wechat, &renewed, false));
    let during = format!(
        "{after}previous_token = \"{}\"\nprevious_aes_key = \"{}\"\n",
        old.0, old.1
    );
    let account = wechat.account(settings);
    let says = |world: &World, token: &str, key: &str| {
        account.change(|settings| {
            settings.callback = format!("http://{}/wx/shop", world.address);
            settings.token = token.to_owned();
            settings.aes_key = Some(key.to_owned());
        });
        account.follower(LI).says("几点开门").wait()
    };
    let world = setup(during, RULES).start();
    for (token, key) in [
        (&old.0, &old.1),
        (&new.0, &old.1),
        (&old.0, &new.1),
        (&new.0, &new.1),
    ] {
        // The pretend WeChat opens the answer with this key, and checks its signature with this token.
        let delivered = says(&world, token, key);
        assert_eq!(delivered.text(), Some("十点开门。"), "{delivered:?}");
    }
    let (stopped, _) = world.stop();
    std::fs::write(stopped.path().join("wxreply.toml"), after).unwrap();
    let world = stopped.start();
    for (token, key) in [(&old.0, &old.1), (&new.0, &old.1), (&old.0, &new.1)] {
        let delivered = says(&world, token, key);
        assert_eq!(delivered.status, Some(403), "{delivered:?}");
    }
    assert_eq!(says(&world, &new.0, &new.1).text(), Some("十点开门。"));
}

#[test]
fn two_accounts_share_a_follower_and_nothing_else() {
    let wechat = platform();
    let shop = AccountSettings::secure("shop", "");
    let cafe = AccountSettings::plain("cafe", "");
    let sections = section(&wechat, &shop, true) + &section(&wechat, &cafe, false);
    let rules = format!(
        "{RULES}\n[[rule]]\nid = \"cafe-only\"\nany = [\"拿铁\"]\naccounts = [\"cafe\"]\nreply = \"拿铁 25。\"\n"
    );
    let world = setup(configuration(&sections), &rules).start();
    let [shop, cafe] = [shop, cafe].map(|settings| {
        let callback = format!("http://{}/wx/{}", world.address, settings.name);
        wechat.account(AccountSettings {
            callback,
            ..settings
        })
    });
    let rounds = 10;
    std::thread::scope(|scope| {
        for account in [&shop, &cafe] {
            scope.spawn(move || {
                let name = &account.settings().name;
                for n in 0..rounds {
                    let delivered = account
                        .follower(LI)
                        .says(&format!("{name} 的第 {n} 句"))
                        .wait();
                    assert_eq!(delivered.fault, None, "{delivered:?}");
                }
            });
        }
    });
    for account in [&shop, &cafe] {
        let name = &account.settings().name;
        let found = conversations(&world, &format!("account={name}"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["follower"], LI);
        let said: Vec<_> = lines(&world, &found[0])
            .into_iter()
            .filter(|line| line.starts_with("follower"))
            .collect();
        let wanted: Vec<_> = (0..rounds)
            .map(|n| format!("follower text {name} 的第 {n} 句 received"))
            .collect();
        assert_eq!(said, wanted);
    }
    assert_eq!(
        cafe.follower(LI).says("拿铁").wait().text(),
        Some("拿铁 25。")
    );
    assert_eq!(
        clear(&shop.follower(LI).says("拿铁").wait()),
        "success",
        "its ack was given"
    );

    // What one account signed is nothing to the other.
    let at_cafe = cafe.settings().callback.clone();
    let at_shop = shop.settings().callback.clone();
    cafe.change(|settings| settings.callback = at_shop);
    shop.change(|settings| settings.callback = at_cafe);
    for account in [&shop, &cafe] {
        assert_eq!(
            account.follower("oStray").says("几点开门").wait().status,
            Some(403)
        );
    }
    assert!(conversations(&world, "follower=oStray").is_empty());
}
