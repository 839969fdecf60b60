//! Keys that clients log in with: whose word counts, and how many are kept.

use crate::world::*;
use bourse_market::login::{LoginForm, LoginRequest, UserKey};
use bourse_market::*;

const MEMBER: Address = Address([0x41; 20]);
const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;
const NOON: Nanos = Nanos(20_000 * DAY);

fn key(number: u8) -> ClientKey {
    ClientKey([number; 32])
}

fn later(days: u64) -> Nanos {
    Nanos(NOON.0 + days * DAY)
}

fn dated(number: u8, issued: Nanos, days: u64, at: Nanos) -> LoginRequest {
    LoginRequest {
        key: key(number),
        party: MEMBER,
        form: LoginForm::Dated {
            issued,
            expires: Nanos(issued.0 + days * DAY),
        },
        signature: signature(number),
        signer: MEMBER,
        at,
    }
}

fn plain(number: u8, at: Nanos) -> LoginRequest {
    LoginRequest {
        form: LoginForm::Plain,
        ..dated(number, at, 1, at)
    }
}

impl World {
    fn login(&mut self, request: LoginRequest) -> Result<UserKey, Refusal> {
        match self.submit(Command::Login(Box::new(request)))? {
            Outcome::LoggedIn(key) => Ok(*key),
            other => panic!("{other:?}"),
        }
    }

    fn logout(&mut self, number: u8, at: Nanos) -> UserKey {
        match self.accept(Command::Logout { key: key(number), at }) {
            Outcome::LoggedOut(key) => *key,
            other => panic!("{other:?}"),
        }
    }

    fn keys(&self) -> Vec<ClientKey> {
        let keys = self.ledger.user_keys_of(&MEMBER).unwrap();
        keys.into_iter().map(|known| known.key).collect()
    }
}

#[test]
fn w_11_a_key_lasts_as_long_as_was_signed_and_thirty_days_at_most() {
    let mut world = World::endowed();
    let known = world.login(dated(1, NOON, 30, NOON)).unwrap();
    assert!(known.stands(later(29)) && !known.stands(later(30)));
    assert_eq!(
        world.login(dated(2, NOON, 31, NOON)),
        Err(Refusal::LoginTooLong {
            issued: NOON,
            expires: later(31)
        })
    );
    assert_eq!(
        world.login(dated(2, NOON, 1, later(1))),
        Err(Refusal::LoginExpired {
            expires: later(1),
            at: later(1)
        })
    );
    let ahead = Nanos(NOON.0 + UserKey::AHEAD + 1);
    assert_eq!(
        world.login(dated(2, ahead, 1, NOON)),
        Err(Refusal::LoginAhead {
            issued: ahead,
            at: NOON
        })
    );
    let plain = world.login(plain(3, NOON)).unwrap();
    assert!(plain.stands(later(29)) && !plain.stands(later(30)));
}

#[test]
fn nobody_vouches_for_another_or_for_a_key_that_is_somebody_elses() {
    let mut world = World::endowed();
    let forged = LoginRequest {
        signer: STRANGER,
        ..dated(1, NOON, 1, NOON)
    };
    assert_eq!(
        world.login(forged),
        Err(Refusal::WrongSigner {
            signer: STRANGER,
            expected: MEMBER
        })
    );
    world.login(dated(1, NOON, 1, NOON)).unwrap();
    let strangers = |issued, at| LoginRequest {
        party: STRANGER,
        signer: STRANGER,
        ..dated(1, issued, 1, at)
    };
    let taken = Err(Refusal::KeyTaken { key: key(1) });
    assert_eq!(world.login(strangers(NOON, NOON)), taken);
    world.logout(1, NOON);
    assert_eq!(world.login(strangers(later(1), later(1))), taken);
    // Nothing that its first party signed could count any more.
    assert!(world.login(strangers(later(30), later(30))).is_ok());
}

#[test]
fn the_same_word_again_changes_nothing_and_a_longer_one_takes_its_place() {
    let mut world = World::endowed();
    let first = world.login(dated(1, NOON, 10, NOON)).unwrap();
    assert_eq!(world.login(dated(1, NOON, 10, later(1))).unwrap(), first);
    assert_eq!(world.login(plain(1, later(1))).unwrap(), first);
    assert_eq!(
        world.login(dated(1, later(2), 30, later(2))).unwrap().expires,
        later(32)
    );
}

#[test]
fn w_11_a_login_that_was_taken_back_counts_no_more_whoever_repeats_it() {
    let mut world = World::endowed();
    world.login(dated(1, NOON, 2, NOON)).unwrap();
    let revoked = later(1);
    assert_eq!(world.logout(1, revoked).revoked, Some(revoked));
    assert_eq!(world.logout(1, later(2)).revoked, Some(revoked), "once is enough");
    let refused = Err(Refusal::KeyRevoked { key: key(1), revoked });
    assert_eq!(world.login(dated(1, NOON, 30, later(1))), refused);
    // One that was signed before and not shown, after the one on record has expired.
    assert_eq!(world.login(dated(1, NOON, 30, later(3))), refused);
    assert_eq!(world.login(plain(1, later(3))), refused);
    assert!(world.login(dated(1, later(3), 1, later(3))).is_ok());
}

#[test]
fn a_plain_login_that_was_taken_back_never_counts_again() {
    let mut world = World::endowed();
    world.login(plain(1, NOON)).unwrap();
    // A longer word of the other form does not make it forgotten.
    world.login(dated(1, later(5), 30, later(5))).unwrap();
    world.logout(1, later(6));
    let refused = |revoked| Err(Refusal::KeyRevoked { key: key(1), revoked });
    assert_eq!(world.login(plain(1, later(500))), refused(later(6)));
    world.login(dated(1, later(500), 1, later(500))).unwrap();
    assert_eq!(world.login(plain(1, later(500))).unwrap().expires, later(501));
    world.logout(1, later(500));
    assert_eq!(world.login(plain(1, later(1000))), refused(later(500)));
}

#[test]
fn a_member_has_sixteen_keys_and_the_one_vouched_for_first_goes() {
    let mut world = World::endowed();
    for number in 1..=17 {
        let issued = Nanos(NOON.0 + u64::from(number));
        world.login(dated(number, issued, 20, NOON)).unwrap();
    }
    assert_eq!(world.keys(), (2..=17).map(key).collect::<Vec<_>>());
    // Old signatures do not put newer ones out.
    assert_eq!(
        world.login(dated(1, Nanos(NOON.0 + 1), 20, NOON)),
        Err(Refusal::KeysStanding { party: MEMBER })
    );
    // What has expired takes no place, and is forgotten by and by.
    world.login(dated(18, later(21), 1, later(21))).unwrap();
    world.login(dated(19, later(21), 1, later(21))).unwrap();
    assert_eq!(world.keys(), [key(18), key(19)]);
}

#[test]
fn keys_that_were_taken_back_are_remembered_until_their_signatures_are_worth_nothing_and_no_more_are_taken_on()
 {
    let mut world = World::endowed();
    let most = u8::try_from(UserKey::MAX_REVOKED).unwrap();
    for number in 1..=most {
        world.login(dated(number, NOON, 1, NOON)).unwrap();
        world.logout(number, NOON);
    }
    let refused = Err(Refusal::KeysRevoked { party: MEMBER });
    assert_eq!(world.login(dated(100, later(1), 1, later(1))), refused);
    // The other form has places of its own.
    world.login(plain(101, later(1))).unwrap();
    world.login(dated(100, later(30), 1, later(30))).unwrap();
    assert_eq!(world.keys().len(), usize::from(most) - 8 + 2);
}
