//! Ledgers damaged behind the writer's back.

use crate::records::hex;
use crate::tables::{Id, Tables};
use crate::{Options, Stamp, Store, change, codec, index, keys};
use bourse_market::registry::{ActorType, Attributes, Catalog, Consent, ConsentKey, Registration};
use bourse_market::*;
use heed::RwTxn;

fn store(folder: &std::path::Path) -> Store {
    let (market, maker) = (MarketId([1; 16]), Address([2; 20]));
    let stamp = Stamp {
        mode: "local".to_owned(),
        chain_id: 1337,
        contract: Address([3; 20]),
        market,
        marketmaker: maker,
    };
    let store = Store::open(
        Options {
            map_size: 16 << 20,
            ..Options::at(folder)
        },
        &stamp,
    )
    .unwrap();
    let open = OpenRequest {
        id: ChannelId([4; 16]),
        kind: ChannelKind::Paying,
        market,
        actor: Address([5; 20]),
        delegate: Address([6; 20]),
        marketmaker: maker,
        recipient: Address([5; 20]),
        amount: Amount::from_tokens(5),
        open_at: Amount::from_units(1),
        signature: Signature([7; 65]),
        signer: Address([5; 20]),
        at: Nanos(8),
    };
    let genesis = Genesis {
        market,
        marketmaker: maker,
        owner: maker,
        float: Amount::from_tokens(10),
        local: true,
        at: Nanos(1),
    };
    store.submit_blocking(Command::Genesis(genesis)).unwrap();
    store.submit_blocking(Command::Open(Box::new(open))).unwrap();
    store
}

/// What verification says, in words, after `damage`.
#[track_caller]
fn check(damage: impl FnOnce(&Tables, &mut RwTxn<'_>), expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    assert!(store.read().unwrap().verify(&mut |_, _| {}).unwrap().is_sound());
    let mut txn = store.env().write_txn().unwrap();
    damage(store.tables(), &mut txn);
    txn.commit().unwrap();
    let report = store.read().unwrap().verify(&mut |_, _| {}).unwrap();
    let found: Vec<_> = report.violations.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

fn channel(tables: &Tables, txn: &RwTxn<'_>) -> Channel {
    codec::decode("channels", tables.channels.get(txn, &[4; 16]).unwrap().unwrap()).unwrap()
}

#[test]
fn a_record_that_an_index_does_not_know_is_found() {
    let damage = |tables: &Tables, txn: &mut RwTxn<'_>| {
        let entries = index::of_channel(&channel(tables, txn));
        let live = entries
            .iter()
            .find(|entry| entry.table == Id::live_channels)
            .unwrap();
        tables.live_channels.delete(txn, &live.key).unwrap();
    };
    check(
        damage,
        &[
            "live_channels lacks 0x020606060606060606060606060606060606060606000000000000000804040404040404040404040404040404 \
           of channels 0x04040404040404040404040404040404",
        ],
    );
}

#[test]
fn an_index_entry_without_its_record_is_found() {
    check(
        |tables, txn| tables.sent.put(txn, &[9; 16], &[]).unwrap(),
        &["sent holds 0x09090909090909090909090909090909, which no record explains"],
    );
    // As many entries as there should be, and yet one of them wrong.
    check(
        |tables, txn| {
            let entries = index::of_channel(&channel(tables, txn));
            let mut key = entries[0].key.clone();
            tables.channels_by_delegate.delete(txn, &key).unwrap();
            key[1] = 0;
            tables.channels_by_delegate.put(txn, &key, &[]).unwrap();
        },
        &[
            "channels_by_delegate lacks 0x020606060606060606060606060606060606060606000000000000000804040404040404040404040404040404 \
             of channels 0x04040404040404040404040404040404",
            "channels_by_delegate holds 0x020006060606060606060606060606060606060606000000000000000804040404040404040404040404040404, \
             which no record explains",
        ],
    );
}

#[test]
fn a_damaged_record_is_told_and_the_rest_still_checked() {
    check(
        |tables, txn| {
            tables
                .accounts
                .put(txn, &[2; 20], &[codec::VERSION, 1, 2])
                .unwrap()
        },
        &[
            "accounts 0x0202020202020202020202020202020202020202: a record of table `accounts` cannot be read: \
             Serde Deserialization Error",
            "accounts and channels hold 5, float and grants are 10",
        ],
    );
}

#[test]
fn a_record_under_anothers_key_is_found() {
    check(
        |tables, txn| {
            let bytes = tables.channels.get(txn, &[4; 16]).unwrap().unwrap().to_vec();
            tables.channels.delete(txn, &[4; 16]).unwrap();
            tables.channels.put(txn, &[0xF; 16], &bytes).unwrap();
        },
        &["channels 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f holds a record of another key"],
    );
}

#[test]
fn tokens_from_nowhere_are_found() {
    check(
        |tables, txn| {
            let account = Account {
                balance: Amount::from_tokens(6),
                granted: Amount::ZERO,
            };
            let bytes = codec::encode("accounts", &account).unwrap();
            tables.accounts.put(txn, &[2; 20], &bytes).unwrap();
        },
        &["accounts and channels hold 11, float and grants are 10"],
    );
}

fn slot(key: &str) -> PolicySlot {
    PolicySlot {
        policy: "surge".to_owned(),
        key: key.to_owned(),
    }
}

fn write(tables: &Tables, txn: &mut RwTxn<'_>, change: &Change) {
    change::write(tables, txn, change).unwrap();
}

#[test]
fn a_policys_state_that_is_counted_wrong_is_found() {
    check(
        |tables, txn| write(tables, txn, &Change::PolicyValue(slot("last"), Some(vec![1, 2]))),
        &["the state of policy surge takes 6 bytes, its record says 0"],
    );
    check(
        |tables, txn| write(tables, txn, &Change::PolicySize("surge".to_owned(), 5)),
        &["the state of policy surge takes 0 bytes, its record says 5"],
    );
    // Values and counters count together.
    check(
        |tables, txn| {
            write(tables, txn, &Change::PolicyValue(slot("last"), Some(vec![1, 2])));
            write(tables, txn, &Change::PolicyCounter(slot("last"), -1));
            write(tables, txn, &Change::PolicySize("surge".to_owned(), 18));
        },
        &[],
    );
}

#[test]
fn a_policys_record_under_anothers_key_is_found() {
    check(
        |tables, txn| {
            let bytes = codec::encode("policy_counters", &(slot("a"), 1i64)).unwrap();
            tables
                .policy_counters
                .put(txn, &keys::policy_slot(&slot("b")), &bytes)
                .unwrap();
            write(tables, txn, &Change::PolicySize("surge".to_owned(), 9));
        },
        &["policy_counters 0x0573757267650162 holds a record of another key"],
    );
}

#[test]
fn the_index_of_decisions_by_time_is_checked_both_ways_and_orphans_are_told() {
    let decision = || Decision {
        id: DecisionId([0xD; 16]),
        header: DecisionHeader {
            at: Nanos(7),
            hook: "pricing".to_owned(),
            policy: "surge".to_owned(),
            revision: RevisionId([6; 32]),
            purchase: None,
        },
        body: Vec::new(),
    };
    let orphan = "decision 0x0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d belongs to no purchase";
    check(
        |tables, txn| write(tables, txn, &Change::Decision(Box::new(decision()))),
        &[orphan],
    );
    check(
        |tables, txn| {
            let bytes = codec::encode("decisions", &decision()).unwrap();
            tables.decisions.put(txn, &[0xD; 16], &bytes).unwrap();
        },
        &[
            "decisions_by_time lacks 0x00000000000000070d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d of decisions \
             0x0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d",
            orphan,
        ],
    );
    check(
        |tables, txn| {
            let key = keys::decided(Nanos(8), &decision().id);
            tables.decisions_by_time.put(txn, &key, &[]).unwrap();
        },
        &[
            "decisions_by_time holds 0x00000000000000080d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d, which no record explains",
        ],
    );
    // A decision whose time has changed has an entry at its new time alone.
    check(
        |tables, txn| {
            for at in [7, 9] {
                let mut decision = decision();
                decision.header.at = Nanos(at);
                write(tables, txn, &Change::Decision(Box::new(decision)));
            }
        },
        &[orphan],
    );
}

/// An offer with an entry or more in each index of queries, and those entries.
fn offer() -> (Offer, Vec<index::Entry>) {
    let offer = Offer {
        id: OfferId([0xE; 16]),
        key: KeyId([0xF; 16]),
        api: ApiId([1; 16]),
        catalog: None,
        uri: "io.example.data".to_owned(),
        seller: Address([6; 20]),
        provider_id: None,
        placer: Placer {
            session: SessionId(9),
            authid: None,
        },
        placed_at: Nanos(7),
        valid_from: None,
        expires: None,
        revoked: None,
        signature: Signature([0; 65]),
        signature_verified: false,
        claimed: false,
        unlisted: false,
        price: Price::Dynamic,
        pricing: PricingTerms::default(),
        copies: None,
        remaining: None,
        categories: [("topic".to_owned(), "weather".to_owned())].into(),
    };
    let entries = index::of_offer(&offer);
    (offer, entries)
}

/// What verification says of an index of offers that lacks an entry, and of one that has another in its place.
#[track_caller]
fn check_index_of_offers(id: Id, prefix: &str) {
    let (offer, entries) = offer();
    let entry = entries.into_iter().find(|entry| entry.table == id).unwrap();
    let name = format!("{id:?}");
    let key = |at: u8| format!("{prefix}00000000000000{at:02x}{}", "0e".repeat(16));
    let lacks = format!("{name} lacks 0x{} of offers 0x{}", key(7), "0e".repeat(16));
    check(
        |tables, txn| {
            write(tables, txn, &Change::Offer(Box::new(offer.clone())));
            tables.table(id).delete(txn, &entry.key).unwrap();
        },
        &[&lacks],
    );
    let mut stray = entry.key.clone();
    let at = stray.len() - OfferId::LEN - 1;
    stray[at] = 8;
    check(
        |tables, txn| {
            write(tables, txn, &Change::Offer(Box::new(offer.clone())));
            tables.table(id).put(txn, &stray, &[]).unwrap();
        },
        &[&format!("{name} holds 0x{}, which no record explains", key(8))],
    );
    check(
        |tables, txn| {
            write(tables, txn, &Change::Offer(Box::new(offer.clone())));
            tables.table(id).delete(txn, &entry.key).unwrap();
            tables.table(id).put(txn, &stray, &[]).unwrap();
        },
        &[
            &lacks,
            &format!("{name} holds 0x{}, which no record explains", key(8)),
        ],
    );
}

#[test]
fn a_damaged_index_of_offers_by_api_is_found() {
    check_index_of_offers(Id::offers_by_api, &"01".repeat(16));
}

#[test]
fn a_damaged_index_of_offers_by_seller_is_found() {
    let prefix = ["01".repeat(16), "06".repeat(20)].concat();
    check_index_of_offers(Id::offers_by_seller, &prefix);
}

#[test]
fn a_damaged_index_of_offers_by_uri_is_found() {
    // Its length, then `io.`.
    let prefix = ["01".repeat(16), "03696f2e".to_owned()].concat();
    check_index_of_offers(Id::offers_by_uri, &prefix);
}

#[test]
fn an_offer_that_is_not_listed_is_missed_nowhere_and_one_that_is_everywhere() {
    let (mut offer, entries) = offer();
    offer.unlisted = true;
    let unlisted = Box::new(offer.clone());
    check(|tables, txn| write(tables, txn, &Change::Offer(unlisted)), &[]);
    offer.unlisted = false;
    offer.expires = Some(Nanos(9));
    let ending = keys::ending(Nanos(9), &offer.id);
    let record = format!("of offers {}", offer.id);
    let lacks = format!("offers_ending lacks {} {record}", hex(&ending));
    check(
        |tables, txn| {
            write(tables, txn, &Change::Offer(Box::new(offer.clone())));
            tables.offers_ending.delete(txn, &ending).unwrap();
        },
        &[&lacks],
    );
    // Marked, and its entries still there.
    let strays: Vec<String> = entries
        .iter()
        .filter(|entry| entry.table != Id::offer_by_key)
        .map(|entry| {
            format!(
                "{:?} holds {}, which no record explains",
                entry.table,
                hex(&entry.key)
            )
        })
        .collect();
    let mut strays: Vec<&str> = strays.iter().map(String::as_str).collect();
    strays.sort_unstable();
    offer.expires = None;
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let mut txn = store.env().write_txn().unwrap();
    write(store.tables(), &mut txn, &Change::Offer(Box::new(offer.clone())));
    offer.unlisted = true;
    let bytes = codec::encode("offers", &offer).unwrap();
    let offers = store.tables().offers;
    offers.put(&mut txn, offer.id.as_bytes(), &bytes).unwrap();
    txn.commit().unwrap();
    let report = store.read().unwrap().verify(&mut |_, _| {}).unwrap();
    let mut found: Vec<_> = report.violations.iter().map(ToString::to_string).collect();
    found.sort();
    assert_eq!(found, strays);
}

#[test]
fn a_damaged_index_of_offers_by_category_is_found() {
    let prefix = [
        "01".repeat(16),
        "05746f706963".to_owned(),
        "0777656174686572".to_owned(),
    ]
    .concat();
    check_index_of_offers(Id::offers_by_category, &prefix);
}

#[test]
fn the_indexes_of_escrowed_sales_are_checked_both_ways() {
    let damage = |tables: &Tables, txn: &mut RwTxn<'_>| {
        let at = keys::purchase_at(&ChannelId([9; 16]), Seq(2));
        tables.escrow_sale_at.put(txn, &at, &[9; 16]).unwrap();
        let posted = keys::posted(Nanos(1), &PurchaseId([9; 16]));
        tables.posted_by_time.put(txn, &posted, index::ESCROWED).unwrap();
    };
    check(
        damage,
        &[
            "escrow_sale_at holds 0x0909090909090909090909090909090900000002, which no record explains",
            "posted_by_time holds 0x000000000000000109090909090909090909090909090909, which no record explains",
        ],
    );
    let damage = |tables: &Tables, txn: &mut RwTxn<'_>| {
        let key = codec::encode("escrowed_keys", &EscrowedKey([1; 88])).unwrap();
        tables.escrowed_keys.put(txn, &[7; 16], &key).unwrap();
        tables.escrowed_keys.put(txn, &[7; 15], &key).unwrap();
    };
    check(
        damage,
        &[
            "escrowed_keys 0x070707070707070707070707070707 holds a record of another key",
            "key 0x07070707070707070707070707070707 is in escrow, and no signed offer of it is in force",
        ],
    );
}

const MEMBER: Address = Address([5; 20]);

fn catalog() -> Registration {
    Registration::Catalog(Catalog {
        id: CatalogId([0xC; 16]),
        created: BlockNumber(7),
        updated: BlockNumber(7),
        at: Nanos(1),
        seq: 1,
        owner: MEMBER,
        terms: String::new(),
        meta: String::new(),
        transaction: None,
        signature: None,
    })
}

fn consent() -> Registration {
    Registration::Consent(Consent {
        id: ConsentId([0xB; 16]),
        key: ConsentKey {
            catalog: CatalogId([0xC; 16]),
            member: MEMBER,
            delegate: Address([6; 20]),
            delegate_type: ActorType::Provider,
            market: MarketId([1; 16]),
        },
        updated: BlockNumber(7),
        signed_at: BlockNumber(7),
        at: Nanos(1),
        granted: true,
        service_prefix: String::new(),
        attributes: Attributes {
            tags: vec!["rain".to_owned()],
            ..Attributes::default()
        },
        transaction: None,
        signature: None,
        synced: true,
    })
}

/// Every entry of `record` is missed when it is gone, and what stands in its place is told.
#[track_caller]
fn check_index_of(record: &Registration) {
    let entries = index::of_registration(record);
    assert!(!entries.is_empty());
    let put = |tables: &Tables, txn: &mut RwTxn<'_>| {
        write(tables, txn, &Change::Registered(Box::new(record.clone())));
    };
    check(put, &[]);
    for entry in entries {
        let (name, key) = (format!("{:?}", entry.table), hex(&entry.key));
        let (table, id) = match record {
            Registration::Consent(consent) => ("consents", consent.id.to_string()),
            Registration::Catalog(catalog) => ("catalogs", catalog.id.to_string()),
            other => panic!("{other:?}"),
        };
        let lacks = format!("{name} lacks {key} of {table} {id}");
        let mut stray = entry.key.clone();
        // Within the member, the delegate and so on: another's list.
        stray[1] ^= 0xF0;
        let holds = format!("{name} holds {}, which no record explains", hex(&stray));
        check(
            |tables, txn| {
                put(tables, txn);
                tables.table(entry.table).delete(txn, &entry.key).unwrap();
            },
            &[&lacks],
        );
        check(
            |tables, txn| {
                put(tables, txn);
                tables.table(entry.table).put(txn, &stray, &entry.value).unwrap();
            },
            &[&holds],
        );
    }
}

#[test]
fn every_damaged_list_of_consents_is_found() {
    check_index_of(&consent());
}

#[test]
fn a_damaged_list_of_the_registry_is_found() {
    check_index_of(&catalog());
}

#[test]
fn a_record_of_the_registry_that_is_longer_than_may_be_is_told_and_the_rest_is_looked_at() {
    check(
        |tables, txn| {
            let Registration::Catalog(record) = catalog() else {
                panic!("no catalog")
            };
            let longer = Catalog {
                terms: "x".repeat(10_000),
                ..record
            };
            write(
                tables,
                txn,
                &Change::Registered(Box::new(Registration::Catalog(longer))),
            );
            tables.sent.put(txn, &[9; 16], &[]).unwrap();
        },
        &[
            "catalogs 0x0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c: expected at most 256 bytes for terms, got 10000",
            "sent holds 0x09090909090909090909090909090909, which no record explains",
        ],
    );
}

#[test]
fn a_record_of_the_registry_under_anothers_key_is_found() {
    check(
        |tables, txn| {
            let Registration::Consent(record) = consent() else {
                panic!("no consent")
            };
            write(tables, txn, &Change::Registered(Box::new(consent())));
            let bytes = codec::encode("consents", &record).unwrap();
            tables.consents.delete(txn, &[0xB; 16]).unwrap();
            tables.consents.put(txn, &[0xA; 16], &bytes).unwrap();
        },
        &["consents 0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a holds a record of another key"],
    );
}

#[test]
fn a_look_at_the_start_finds_what_points_nowhere_and_channels_that_do_not_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let tables = store.tables();
    let mut txn = store.env().write_txn().unwrap();
    let mut broken = channel(tables, &txn);
    broken.remaining = Amount::ZERO;
    let bytes = codec::encode("channels", &broken).unwrap();
    tables.channels.put(&mut txn, &[4; 16], &bytes).unwrap();
    let suspended = keys::delegates_channel(&broken.delegate, &broken.id);
    tables.suspended_channels.put(&mut txn, &suspended, &[]).unwrap();
    tables.sent.put(&mut txn, &[9; 16], &[]).unwrap();
    tables.purchases.put(&mut txn, &[8; 16], &[1, 2]).unwrap();
    tables.sent.put(&mut txn, &[8; 16], &[]).unwrap();
    let posted = keys::posted(Nanos(5), &PurchaseId([7; 16]));
    tables.posted_by_time.put(&mut txn, &posted, &[]).unwrap();
    txn.commit().unwrap();
    let found = store.read().unwrap().glance(&mut || false).unwrap();
    assert!(found.whole);
    let violations: Vec<_> = found.violations.iter().map(ToString::to_string).collect();
    let id = |byte: &str| format!("0x{}", byte.repeat(16));
    assert_eq!(
        violations,
        [
            format!(
                "purchases {}: a record of table `purchases` cannot be read: Hit the end of buffer, expected more data",
                id("08")
            ),
            format!("sent holds {}, which no record explains", id("09")),
            format!(
                "suspended_channels holds 0x{}{}, which no record explains",
                "06".repeat(20),
                "04".repeat(16)
            ),
            format!(
                "channel {}: remaining + inflight + spent is 0, its deposit 5",
                id("04")
            ),
            format!(
                "posted_by_time holds 0x0000000000000005{}, which no record explains",
                "07".repeat(16)
            ),
        ]
    );
}
