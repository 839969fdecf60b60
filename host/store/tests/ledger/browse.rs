//! Pages that people look through: in order, without a gap or a repeat, and the same as what a look at everything finds.

use crate::fixture::*;
use bourse_market::*;
use bourse_store::{ChannelList, Listing, Store};

fn market(parties: u64, sales: u64) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    populate(&store, parties, 1000);
    for number in 0..sales {
        let party = number % parties;
        reserve_now(&store, number, party).unwrap();
        do_all(&store, [post(number, party, 8)]);
    }
    (folder, store)
}

/// All pages of a list, each of at most `limit` entries.
fn all<T, C>(limit: usize, mut page: impl FnMut(Option<C>) -> Listing<T, C>) -> Vec<T> {
    let (mut seen, mut at) = (Vec::new(), None);
    loop {
        let Listing { found, next } = page(at);
        assert!(found.len() <= limit && (next.is_none() || found.len() == limit));
        seen.extend(found);
        match next {
            Some(next) => at = Some(next),
            None => return seen,
        }
    }
}

#[test]
fn sales_come_newest_first_page_by_page_and_are_those_that_were_posted() {
    let (_folder, store) = market(3, 10);
    // One that is under way is none.
    reserve_now(&store, 10, 0).unwrap();
    let ledger = store.read().unwrap();
    for limit in [1, 3, 10, 50] {
        let sales = all(limit, |at| {
            let page = ledger.sales_before(at, limit).unwrap();
            Listing {
                found: page.found,
                next: page.next,
            }
        });
        let ids: Vec<_> = sales.iter().map(|posted| posted.id).collect();
        assert_eq!(ids, (0..10).rev().map(purchase).collect::<Vec<_>>());
        for posted in sales {
            assert_eq!(Some(&posted.sale), ledger.sale(&posted.id).unwrap().as_ref());
            assert_eq!(ledger.posted(&posted.id).unwrap(), Some(posted));
        }
    }
    assert_eq!(ledger.posted(&purchase(10)).unwrap(), None);
    assert_eq!(ledger.posted(&purchase(99)).unwrap(), None);
}

#[test]
fn offers_come_latest_first_and_accounts_by_address() {
    let (_folder, store) = market(5, 0);
    let ledger = store.read().unwrap();
    for limit in [1, 2, 5, 50] {
        let offers = all(limit, |at| ledger.offers_before(at, limit).unwrap());
        let keys: Vec<_> = offers.iter().map(|offer| offer.key).collect();
        assert_eq!(keys, (0..5).rev().map(key).collect::<Vec<_>>());
        let accounts = all(limit, |at| ledger.accounts_after(at, limit).unwrap());
        assert_eq!(accounts.len() as u64, ledger.counts().unwrap().accounts);
        assert!(accounts.is_sorted_by_key(|(address, _)| *address));
        for (address, account) in accounts {
            assert_eq!(ledger.account(&address).unwrap(), Some(account));
        }
    }
}

#[test]
fn channels_come_by_list_and_every_list_has_its_own_alone() {
    // Both sellers have proven who they are by a sale: an unclear answer then suspends the channel, and not the pair.
    let (_folder, store) = market(4, 2);
    let closed = store
        .read()
        .unwrap()
        .channel(&channel(ChannelKind::Payment, 3))
        .unwrap()
        .unwrap();
    do_all(&store, [close(&closed)]);
    reserve_now(&store, 5, 1).unwrap();
    do_all(&store, [void(5, true)]);
    let ledger = store.read().unwrap();
    let listed = |list, limit| {
        all(limit, |at: Option<Vec<u8>>| {
            ledger.list_channels(list, at.as_deref(), limit).unwrap()
        })
    };
    let numbers = |kind, of: &[u64]| of.iter().map(|number| channel(kind, *number)).collect::<Vec<_>>();
    for limit in [1, 3, 50] {
        for (list, kind, expected) in [
            (
                ChannelList::All(ChannelKind::Payment),
                ChannelKind::Payment,
                &[0, 1, 2, 3][..],
            ),
            (
                ChannelList::Live(ChannelKind::Payment),
                ChannelKind::Payment,
                &[0, 1, 2],
            ),
            (
                ChannelList::All(ChannelKind::Paying),
                ChannelKind::Paying,
                &[0, 1, 2, 3],
            ),
            (ChannelList::Suspended, ChannelKind::Paying, &[1]),
            (ChannelList::Quarantined, ChannelKind::Paying, &[]),
        ] {
            let found = listed(list, limit);
            let ids: Vec<_> = found.iter().map(|channel| channel.id).collect();
            assert_eq!(ids, numbers(kind, expected), "{list:?} by {limit}");
        }
    }
    // What is no place in a list begins somewhere, and breaks nothing.
    for cursor in [&[0xff; 45][..], &[1], &[]] {
        ledger
            .list_channels(ChannelList::All(ChannelKind::Payment), Some(cursor), 2)
            .unwrap();
    }
}
