//! Lists the keys that most rules have, well and badly written.

use super::{Key, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "id",
        "any = \"a\"\nreply = \"r\"\n[[rule]]\nid = \"x-2\"\nany = \"b\"\nreply = \"r\"",
        &[
            "any = \"a\"\nreply = \"r\"\n[[rule]]\nid = \"x\"\nany = \"b\"\nreply = \"s\"",
            "any = \"a\"\nreply = \"r\"\n[[rule]]\nany = \"b\"\nreply = \"s\"",
            "any = \"a\"\nreply = \"r\"\n[[rule]]\nid = \"带 空格\"\nany = \"b\"\nreply = \"s\"",
        ],
    ),
    key(
        "exact",
        "exact = [\"营业时间\", \"几点开门\"]\nreply = \"r\"",
        &[
            "exact = [\"?!\"]\nreply = \"r\"",
            "exact = 5\nreply = \"r\"",
            "exact = []\nreply = \"r\"",
        ],
    ),
    key(
        "any",
        "any = [\"退款\", \"退钱\"]\nreply = \"r\"",
        &[
            "any = [\"退款\", \"\"]\nreply = \"r\"",
            "any = [\"退款\", 5]\nreply = \"r\"",
        ],
    ),
    key(
        "all",
        "all = [\"发票\", \"抬头\"]\nreply = \"r\"",
        &[
            "all = [\"发票\", \"。\"]\nreply = \"r\"",
            "all = true\nreply = \"r\"",
        ],
    ),
    key(
        "none",
        "any = \"退款\"\nnone = [\"投诉\"]\nreply = \"r\"",
        &[
            "none = [\"投诉\"]\nreply = \"r\"",
            "any = \"退款\"\nnone = {}\nreply = \"r\"",
        ],
    ),
    key(
        "regex",
        "regex = ['^(?<city>\\p{Han}{2,5})的?门店$', '在(?<city>.{2})']\nreply = \"{city}\"",
        &[
            "regex = '(\\d'\nreply = \"r\"",
            "regex = '.*'\nreply = \"r\"",
            "regex = '(?=x)y'\nreply = \"r\"",
        ],
    ),
    key(
        "message",
        "message = [\"image\", \"voice\"]\nreply = \"r\"",
        &[
            "message = \"imag\"\nreply = \"r\"",
            "message = \"text\"\nreply = \"r\"",
        ],
    ),
    key(
        "event",
        "event = [\"subscribe\", \"scan\"]\nreply = \"r\"",
        &[
            "event = \"subscibe\"\nreply = \"r\"",
            "event = \"unsubscribe\"\nreply = \"r\"",
        ],
    ),
    key(
        "scene",
        "event = \"scan\"\nscene = [\"table-*\", \"door-*\"]\nreply = \"{scene.1}\"",
        &[
            "event = \"menu\"\nscene = \"a\"\nreply = \"r\"",
            "event = \"scan\"\nscene = \"a**\"\nreply = \"r\"",
        ],
    ),
    key(
        "menu_key",
        "event = \"menu\"\nmenu_key = \"MAP_*\"\nreply = \"{menu_key.1}\"",
        &[
            "any = \"a\"\nmenu_key = \"MAP\"\nreply = \"r\"",
            "event = \"scan\"\nmenu_key = \"MAP\"\nreply = \"r\"",
        ],
    ),
    key(
        "key",
        "event = \"pic_weixin\"\nkey = \"P-*\"\nreply = \"{key.1}\"",
        &[
            "event = \"scan\"\nscene = \"a\"\nkey = \"b\"\nreply = \"r\"",
            "event = \"pic_weixin\"\nkey = 5\nreply = \"r\"",
        ],
    ),
    key(
        "priority",
        "any = \"a\"\npriority = -10\nreply = \"r\"",
        &[
            "any = \"a\"\npriority = \"high\"\nreply = \"r\"",
            "any = \"a\"\npriority = 1000001\nreply = \"r\"",
        ],
    ),
    key(
        "enabled",
        "any = \"a\"\nreply = \"r\"\n[[rule]]\nid = \"old\"\nany = \"b\"\nenabled = false\nreply = \"r\"",
        &["any = \"a\"\nenabled = \"yes\"\nreply = \"r\""],
    ),
    key(
        "accounts",
        "any = \"a\"\naccounts = [\"shop\"]\nreply = \"r\"\n[defaults]\naccounts = [\"cafe\"]\nowner = \"小王\"",
        &[
            "any = \"a\"\naccounts = [\"Shop\"]\nreply = \"r\"",
            "any = \"a\"\naccounts = []\nreply = \"r\"",
            "any = \"a\"\nreply = \"r\"\n[defaults]\naccount = \"shop\"",
        ],
    ),
    key(
        "reply",
        "any = \"a\"\nreply = \"\"\"\n两行\n话\"\"\"",
        &[
            "any = \"a\"\nreply = \"\"",
            "any = \"a\"\nreply = [\"r\"]",
            "any = \"a\"\nreply = \"{oops\"",
            "any = \"a\"",
        ],
    ),
    key(
        "calendar",
        "any = \"a\"\nduring = \"shop\"\nreply = \"r\"",
        &["any = \"a\"\nreply = \"r\"\n[calendar.shop]\nweekly = {}"],
    ),
];
