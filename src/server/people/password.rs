//! Judges passwords, computes their hashes and compares them.
//! Owns: argon2id and its parameters, what is too easy to guess, how many are computed at once. Uses: argon2. Never: keeps a password.
//!
//! Parameters: OWASP Password Storage Cheat Sheet, argon2id with m = 19 MiB, t = 2, p = 1. Before anything else a password is
//! normalised (NFKC, as NIST SP 800-63B 3.1.1.2 asks): the same keys give the same password on every system.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

use crate::model::people::PasswordHash;
use crate::server::chance;
use crate::server::error::{Code, Problem};

/// Memory in KiB.
const MEMORY: u32 = Params::DEFAULT_M_COST;
/// Passes.
const PASSES: u32 = Params::DEFAULT_T_COST;
/// Lanes.
const LANES: u32 = Params::DEFAULT_P_COST;
/// How many are computed at once: each takes 19 MiB and a core for some 20 ms.
const AT_ONCE: usize = 2;
/// How many may wait for that.
const WAITING: usize = 32;
/// When whoever found the queue full may come again.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// The least characters of a password.
const SHORTEST: usize = 12;
/// The most bytes of a password, before and after normalising.
const LONGEST: usize = 512;
/// The least different characters.
const DIFFERENT: usize = 5;

/// What a generated password is made of: digits and letters that nobody takes for another one. 32 of them, five bits each.
const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
/// Groups of a generated password.
const GROUPS: usize = 4;
/// Characters in a group: a hundred bits in all.
const GROUP: usize = 5;

/// Pieces that common passwords of twelve characters and more are made of (as published lists of leaked ones show, Chinese
/// ones included): what consists of these alone is refused, and so is what consists of digits alone.
const COMMON: &str = "
    @ $ 0 1 2 3 4 5 6 7 8 9 1234567890 0123456789 0987654321 123456789 987654321 12345678 87654321 1234567
    654321 123456 12345 54321 1234 4321 123 321 147258369 789456123 159753 147258 741852963 112233 123123 123321
    111111 000000 888888 666666 999999 5201314 1314520 1314521 520 521 1314 168 888 666 999 000 111 007 2020
    2021 2022 2023 2024 2025 2026 2027 qwertyuiop asdfghjkl zxcvbnm qwerty qwert qwer qwe asdfgh asdf asd zxcvbn
    zxcv zxc qazwsxedc qazwsx qaz wsx edc 1qaz2wsx3edc 1qaz2wsx 1q2w3e4r5t 1q2w3e4r 1q2w3e q1w2e3r4 a1b2c3d4
    abcdefghijkl abcdefgh abcdef abcd abc a123456 password passwort passw0rd p@ssw0rd p@ssword pass word admin
    administrator root user test guest demo login welcome letmein hello changeme change default secret master
    super system server public private temp iloveyou iloveu loveyou love you me my monkey dragon sunshine
    princess football baseball superman batman shadow michael jordan freedom whatever trustno1 starwars computer
    internet samsung iphone google woaini woaiwojia aini nihao mima zhongguo china beijing shanghai taobao
    alibaba tencent weixin wechat wxreply gongzhonghao kefu guanliyuan xiaoming wang zhang li caonima is the and
    new old good best correct horse battery staple correcthorsebatterystaple
";

/// Why a password is too easy to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Weak {
    #[error("密码至少 {SHORTEST} 个字符 | a password has at least {SHORTEST} characters")]
    Short,
    #[error("密码最多 {LONGEST} 个字节 | a password has at most {LONGEST} bytes")]
    Long,
    #[error("密码里的字符太单调 | a password has at least {DIFFERENT} different characters")]
    Monotonous,
    #[error("这个密码太常见 | this password is a common one")]
    Common,
    #[error("密码不能就是用户名 | a password is more than the user's name")]
    Named,
}

/// Whether a password is hard enough to guess for this user.
pub(super) fn judge(name: &str, password: &SecretString) -> Result<(), Weak> {
    if password.expose_secret().len() > LONGEST {
        return Err(Weak::Long);
    }
    let text: String = password.expose_secret().nfkc().collect();
    if text.len() > LONGEST {
        return Err(Weak::Long);
    }
    if text.chars().count() < SHORTEST {
        return Err(Weak::Short);
    }
    let lower = text.to_lowercase();
    let mut different: Vec<char> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < DIFFERENT {
        return Err(Weak::Monotonous);
    }
    let bare = bare(&lower);
    let mut pieces: Vec<&str> = COMMON.split_whitespace().collect();
    if is_made_of(&bare, &pieces) {
        return Err(Weak::Common);
    }
    let name = self::bare(&name.to_lowercase());
    pieces.push(&name);
    if is_made_of(&bare, &pieces) {
        return Err(Weak::Named);
    }
    Ok(())
}

/// Without what people put in between: signs, but for those that stand for letters.
fn bare(text: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || "@$".contains(*c);
    text.chars().filter(is_kept).collect()
}

/// Whether the text is nothing but pieces, one after another, the same one more than once too.
fn is_made_of(text: &str, pieces: &[&str]) -> bool {
    // By byte: whether the text before it is made of pieces.
    let mut reached = vec![false; text.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for at in 0..text.len() {
        if !reached.get(at).copied().unwrap_or_default() {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        for piece in pieces.iter().filter(|piece| rest.starts_with(**piece)) {
            if let Some(end) = reached.get_mut(at + piece.len()) {
                *end = true;
            }
        }
    }
    reached.last().copied().unwrap_or_default()
}

/// A password that nobody can guess and anybody can read out.
pub(in crate::server) fn made_up() -> SecretString {
    let bytes = chance::random::<{ GROUPS * GROUP }>();
    let letter = |byte: &u8| {
        let letter = ALPHABET.get(usize::from(byte & 31)).copied();
        char::from(letter.unwrap_or(b'x'))
    };
    let groups: Vec<String> = bytes
        .chunks(GROUP)
        .map(|group| group.iter().map(letter).collect())
        .collect();
    groups.join("-").into()
}

/// Computes hashes, a few at once.
pub(in crate::server) struct Passwords {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: AtomicUsize::new(0),
        }
    }
}

/// What a comparison found.
pub(super) struct Checked {
    pub(super) is_right: bool,
    /// The hash with the parameters of today, when the kept one has others.
    pub(super) better: Option<PasswordHash>,
}

impl Passwords {
    /// Compares a password with what is kept of one. Without anything to compare with it takes as long and is wrong.
    pub(super) async fn check(
        &self,
        kept: Option<PasswordHash>,
        password: SecretString,
    ) -> Result<Checked, Problem> {
        self.in_turn(move || {
            let is_known = kept.is_some();
            let kept = kept.unwrap_or_else(|| blank([0; 16]));
            let is_same =
                computed(&kept, &password).is_some_and(|hash| bool::from(hash.ct_eq(&kept.hash)));
            let is_right = is_known && is_same;
            let better = (is_right && is_older(&kept)).then(|| hashed(&password));
            Checked {
                is_right,
                better: better.flatten(),
            }
        })
        .await
    }

    /// What is to be kept of a password.
    pub(super) async fn hash(&self, password: SecretString) -> Result<PasswordHash, Problem> {
        let hash = self.in_turn(move || hashed(&password)).await?;
        hash.ok_or_else(|| Problem::new(Code::Internal, "the password could not be hashed"))
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Waiting::begin(&self.waiting)?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        drop(turn);
        let permit = permit.map_err(|_closed| Problem::new(Code::Internal, "stopping"))?;
        // The permit goes along: a caller who leaves does not make room before the work is done.
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        })
        .await
        .map_err(|_panicked| Problem::new(Code::Internal, "the password could not be hashed"))
    }
}

/// A place in the queue, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Result<Self, Problem> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            return Err(Problem::throttled(COME_AGAIN));
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

const fn blank(salt: [u8; 16]) -> PasswordHash {
    PasswordHash {
        memory: MEMORY,
        passes: PASSES,
        lanes: LANES,
        salt,
        hash: [0; 32],
    }
}

const fn is_older(kept: &PasswordHash) -> bool {
    kept.memory < MEMORY || kept.passes < PASSES
}

/// The hash of a new password.
fn hashed(password: &SecretString) -> Option<PasswordHash> {
    let kept = blank(chance::random());
    computed(&kept, password).map(|hash| PasswordHash { hash, ..kept })
}

/// The hash of a password with these parameters and this salt.
fn computed(with: &PasswordHash, password: &SecretString) -> Option<[u8; 32]> {
    // What is too long was never set: not worth normalising.
    let text = Some(password.expose_secret()).filter(|text| text.len() <= LONGEST);
    let normal: SecretString = text.unwrap_or_default().nfkc().collect::<String>().into();
    let params = Params::new(with.memory, with.passes, with.lanes, Some(with.hash.len())).ok()?;
    let mut hash = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(normal.expose_secret().as_bytes(), &with.salt, &mut hash)
        .ok()?;
    text.map(|_| hash)
}

/// A hash with less effort than today's, as an earlier version may have kept.
#[cfg(test)]
pub(super) fn of_old_times(password: &str) -> PasswordHash {
    let kept = PasswordHash {
        memory: 64,
        passes: 1,
        ..blank([7; 16])
    };
    let hash = computed(&kept, &password.to_owned().into()).expect("the parameters are legal");
    PasswordHash { hash, ..kept }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_password_panics(name in ".{0,40}", password in ".{0,200}") {
            let _judged = judged(&name, &password);
        }

        #[test]
        fn common_pieces_stay_common(
            pieces in prop::collection::vec(prop::sample::select(COMMON.split_whitespace().collect::<Vec<_>>()), 3..12),
            sign in "[-_.! ]",
        ) {
            prop_assert!(judged("mei", &pieces.join(&sign)).is_err());
        }
    }

    fn judged(name: &str, password: &str) -> Result<(), Weak> {
        judge(name, &password.to_owned().into())
    }

    #[test]
    fn what_is_easy_to_guess_is_refused() {
        for (password, why) in [
            ("short", Weak::Short),
            ("十一个汉字是不够长的呀", Weak::Short),
            ("aaaabbbbccccdddd", Weak::Monotonous),
            ("password1234", Weak::Common),
            ("P@ssw0rd-2024!", Weak::Common),
            ("woaini5201314", Weak::Common),
            ("qwertyuiop123", Weak::Common),
            ("1qaz2wsx3edc", Weak::Common),
            ("123456789012", Weak::Common),
            ("iloveyou-19870512", Weak::Common),
            ("correcthorsebatterystaple", Weak::Common),
            ("ｐａｓｓｗｏｒｄ１２３４", Weak::Common),
            ("xiaomei-xiaomei", Weak::Named),
            ("xiaomei123456", Weak::Named),
            ("Xiao.Mei-2024-hello?", Weak::Named),
            (&"x1y2z".repeat(200), Weak::Long),
        ] {
            assert_eq!(judged("Xiao.Mei", password), Err(why), "{password}");
        }
        for password in [
            "tarp lemon quilt",
            "小店今天卖光了三十份面",
            "k2m9-xq4t-77vp",
        ] {
            assert_eq!(
                judged("xiaomei", &format!("{password}。")),
                Ok(()),
                "{password}"
            );
        }
        assert_eq!(judged("mei", made_up().expose_secret()), Ok(()));
    }

    #[test]
    fn made_up_passwords_are_readable_and_differ() {
        let one = made_up();
        let one = one.expose_secret();
        assert_eq!(one.len(), GROUPS * GROUP + GROUPS - 1);
        assert!(one.bytes().all(|b| b == b'-' || ALPHABET.contains(&b)));
        assert_ne!(one, made_up().expose_secret());
    }

    #[tokio::test]
    async fn the_same_keys_are_the_same_password_and_old_hashes_grow() {
        let passwords = Passwords::default();
        let text = |text: &str| SecretString::from(text.to_owned());
        let kept = passwords.hash(text("Ａ long pass é")).await.unwrap();
        let check = |password: &str| passwords.check(Some(kept.clone()), text(password));
        let same = check("A long pass e\u{301}").await.unwrap();
        assert!(same.is_right && same.better.is_none());
        assert!(!check("A long pass e").await.unwrap().is_right);
        assert!(!check(&"A".repeat(9999)).await.unwrap().is_right);
        assert!(!passwords.check(None, text("")).await.unwrap().is_right);

        let weak = of_old_times("old times");
        let checked = passwords
            .check(Some(weak), text("old times"))
            .await
            .unwrap();
        let better = checked.better.unwrap();
        assert_eq!((better.memory, better.passes), (MEMORY, PASSES));
        let again = passwords.check(Some(better), text("old times")).await;
        assert!(again.unwrap().is_right);
    }

    #[test]
    fn argon2id_is_what_it_should_be() {
        // RFC 9106 has no vector without secret and data; this one is of the reference implementation's test.c:
        // version 0x13, t = 2, m = 2^16, p = 1, "password", "somesalt".
        let params = Params::new(65536, 2, 1, Some(32)).unwrap();
        let mut hash = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(b"password", b"somesalt", &mut hash)
            .unwrap();
        assert_eq!(
            crate::model::media::hex(&hash),
            "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"
        );
    }

    #[tokio::test]
    async fn a_full_queue_sends_away() {
        let passwords = Passwords::default();
        let places: Vec<_> = (0..WAITING)
            .map(|_| Waiting::begin(&passwords.waiting).unwrap())
            .collect();
        assert!(passwords.check(None, String::new().into()).await.is_err());
        drop(places);
        assert!(passwords.check(None, String::new().into()).await.is_ok());
    }
}
