//! Keys that clients log in with, against a ledger in memory.

use crate::fixture::*;
use bourse_market::login::{LoginForm, LoginRequest, UserKey};
use bourse_market::*;

const PARTIES: u64 = 3;
const KEYS: u64 = 90;

fn client(number: u64) -> ClientKey {
    let mut bytes = [b'k'; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    ClientKey(bytes)
}

fn command(dice: &mut Dice, at: Nanos) -> Command {
    let key = client(dice.below(KEYS));
    if dice.one_in(3) {
        return Command::Logout { key, at };
    }
    let party = address(b'm', dice.below(PARTIES));
    let form = match dice.below(3) {
        0 => LoginForm::Plain,
        _ => LoginForm::Dated {
            issued: Nanos(at.0 - dice.below(1000)),
            expires: Nanos(at.0 + 1 + dice.below(UserKey::MAX_LIFE - 1000)),
        },
    };
    Command::Login(Box::new(LoginRequest {
        key,
        party,
        form,
        signature: Signature([7; 65]),
        signer: party,
        at,
    }))
}

#[test]
fn keys_to_log_in_with_are_as_in_memory_after_any_logins_and_logouts_and_a_new_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(53);
    let mut model = MemoryLedger::new();
    model.submit(&genesis()).unwrap();
    let mut store = open(folder.path());
    do_all(&store, [genesis()]);
    let mut now = 10 * UserKey::MAX_LIFE;
    let mut taken = 0;
    for round in 0..600 {
        now += dice.below(UserKey::MAX_LIFE / 40);
        let command = command(&mut dice, Nanos(now));
        let expected = model.submit(&command);
        match (store.submit_blocking(command), expected) {
            (Ok(outcome), Ok(expected)) => {
                assert_eq!(outcome, expected);
                taken += 1;
            }
            (Err(bourse_store::SubmitError::Refused(refusal)), Err(expected)) => {
                assert_eq!(refusal, expected);
            }
            other => panic!("{other:?}"),
        }
        if round % 200 == 199 {
            assert_sound(&store);
            store.shutdown();
            drop(store);
            store = open(folder.path());
        }
    }
    assert!(taken > 100, "{taken}");
    let ledger = store.read().unwrap();
    let mut found = 0;
    for number in 0..PARTIES {
        let party = address(b'm', number);
        let keys = ledger.user_keys_of(&party).unwrap();
        assert_eq!(keys, model.user_keys_of(&party).unwrap());
        found += keys.len();
    }
    assert!(found > 16, "{found}");
    for number in 0..KEYS {
        let key = client(number);
        assert_eq!(ledger.user_key(&key).unwrap(), model.user_key(&key).unwrap());
    }
}
