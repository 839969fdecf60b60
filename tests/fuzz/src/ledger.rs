//! Entries of a ledger's tables, as a disk may hold them.
//!
//! | input | is |
//! |---|---|
//! | 0 | which table |
//! | 1 | bytes of the key |
//! | from 2 | the key, then the record |

use crate::town::{BUYER, SELLER, Town, amount};
use bourse_app::simulation::exported;
use bourse_market::{Amount, KeyId, Seq};
use bourse_store::{Reader, read_entry};
use bourse_wamp::Dict;

/// Longest keys of the entries that seeds are made of.
const KEY: usize = u8::MAX as usize;

pub(crate) fn run(bytes: &[u8]) {
    let [table, len, rest @ ..] = bytes else {
        return;
    };
    let tables = Reader::exported().count();
    let table = Reader::exported()
        .nth(usize::from(*table) % tables)
        .expect("a table");
    let (key, record) = rest.split_at_checked(usize::from(*len)).unwrap_or((rest, &[]));
    let (change, written) = match read_entry(table, key, record) {
        Ok(read) => read.expect("a table of records"),
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains(table) && said.len() < 1000, "{said}");
            return;
        }
    };
    // What is read is written so that it reads the same, and from then on the bytes are the same too.
    let (again, rewritten) = read_entry(table, key, &written)
        .expect("what was written")
        .expect("a table of records");
    assert_eq!(again, change, "{table}");
    assert_eq!(rewritten, written, "{table}");
    let line = exported(table, change).expect("a record is a line of JSON");
    assert!(line.starts_with('{') && !line.contains('\n'), "{line}");
}

/// Every entry of a market where one of each thing happened.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let town = Town::new();
    let price = Amount::from_tokens(1);
    for (number, left) in [(1, false), (2, true)] {
        let key = KeyId([number; 16]);
        let mut kwargs = Dict::from([
            ("price".to_owned(), amount(price)),
            ("provider_id".to_owned(), crate::town::PROVIDER.into()),
        ]);
        kwargs.extend(left.then(|| ("privkey".to_owned(), [9; 32].into())));
        let args = town.offer_args(key, "com.example.", Some(price));
        town.ask(SELLER, "xbr.marketmaker.place_offer", args, kwargs)
            .expect("an offer");
        let channel = town.channel(town.payment).expect("it is open");
        let rest = channel.posted_remaining().checked_sub(price).unwrap_or_default();
        let seq = Seq(channel.seq.0 + 1);
        let digest = town.state(channel.id, seq, rest);
        let args = vec![
            town.buyer.address().0.into(),
            [8; 32].into(),
            key.0.into(),
            channel.id.0.into(),
            seq.0.into(),
            amount(price),
            amount(rest),
            town.buyer.sign(&digest).0.into(),
        ];
        town.ask(BUYER, "xbr.marketmaker.buy_key", args, Dict::new())
            .expect("a purchase");
    }
    crate::query::consent(&town, 1);
    let mut seeds = Vec::new();
    for (number, table) in (0..).zip(Reader::exported()) {
        town.entries(table, &mut |key, record| {
            if key.len() <= KEY {
                let begin = [number, key.len() as u8];
                seeds.push([&begin, key, record].concat());
            }
        });
        // Where there is no entry: what a record begins with.
        seeds.push(vec![number, 0, 1, 0, 0, 0]);
    }
    seeds
}
