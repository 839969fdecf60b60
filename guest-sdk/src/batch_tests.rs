//! Views against the offers that were packed.

use super::*;
use crate::testing::{NOW, TestBatch, offer};

fn full() -> Offer {
    Offer {
        catalog: Some(CatalogId([0x66; 16])),
        provider: Some("seller.1".to_owned()),
        expires: Some(Nanos(NOW.0 + 1)),
        price: Some(Amount::from_limbs([1, 2, 3, 4])),
        copies: Some(10),
        remaining: Some(0),
        valid_from: Nanos(NOW.0 + 5),
        categories: vec![
            ("country".to_owned(), "de".to_owned()),
            ("größe".to_owned(), String::new()),
        ],
        ..offer()
    }
}

#[test]
fn a_view_reads_what_was_packed_with_every_option_there_and_with_none() {
    let offers = [full(), offer(), Offer::default(), full()];
    let batch = TestBatch::of(&offers);
    let view = batch.view();
    let read: Vec<Offer> = view.iter().map(|offer| offer.to_offer()).collect();
    assert_eq!(read, offers);
    assert_eq!((view.len(), view.is_empty()), (4, false));
    assert_eq!(view.get(3).map(|offer| offer.to_offer()), Some(full()));
    assert!(view.get(4).is_none());
    assert!(TestBatch::of(&[]).view().is_empty());
}

#[test]
fn labels_are_found_by_name() {
    let batch = TestBatch::of(&[full(), offer()]);
    let [first, second] = [0, 1].map(|index| batch.view().get(index).unwrap());
    assert_eq!(first.category("country"), Some("de"));
    assert_eq!(first.category("größe"), Some(""));
    assert_eq!(first.category("count"), None);
    assert_eq!(second.category("country"), None);
    assert_eq!(first.categories().count(), 2);
    assert_eq!(first.for_sale_since(), Nanos(NOW.0 + 5));
}

#[test]
fn what_is_not_the_layout_is_no_batch() {
    let batch = TestBatch::of(&[full(), offer()]);
    let bytes = batch.bytes();
    assert!(Batch::read(2, 2, bytes).is_none(), "another layout");
    assert!(Batch::read(1, 1001, &[0; 5000]).is_none(), "too many");
    assert!(Batch::read(1, 2, &bytes[..11]).is_none(), "no table");
}

#[test]
fn damaged_bytes_never_read_past_their_end() {
    let batch = TestBatch::of(&[full(), offer()]);
    for at in 0..batch.bytes().len() {
        let mut bytes = batch.bytes().to_vec();
        bytes[at] = 0xff;
        let damaged = Batch::read(LAYOUT, 2, &bytes).unwrap();
        for offer in (0..2).filter_map(|index| damaged.get(index)) {
            let _ = (offer.to_offer(), offer.category("country"));
        }
    }
}

/// The bytes of the example in `BATCH.md`: lines of an offset and sixteen bytes in hex.
fn documented() -> Vec<u8> {
    let (_, example) = include_str!("../BATCH.md").split_once("## An example").unwrap();
    let block = example.split("```").nth(1).unwrap();
    let bytes = block.lines().flat_map(|line| line.split_whitespace().skip(1));
    bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn the_documented_example_reads_as_its_text_says() {
    let bytes = documented();
    let batch = Batch::read(LAYOUT, 2, &bytes).unwrap();
    let [first, second] = [0, 1].map(|index| batch.get(index).unwrap());
    assert_eq!(first.key().0, std::array::from_fn(|at| at as u8));
    assert_eq!(first.price(), Some(Amount::from_limbs([1, 2, 3, 4])));
    assert_eq!((first.uri(), first.provider()), ("com.example", Some("p1")));
    assert_eq!((first.copies(), first.remaining()), (Some(10), Some(7)));
    assert!(first.has_category("region", "eu") && !first.has_category("region", "us"));
    assert_eq!(
        first.expires(),
        Some(first.placed_at().after(core::time::Duration::from_secs(60)))
    );
    assert_eq!(second.catalog(), None);
    assert_eq!((second.uri(), second.categories().count()), ("", 0));
    let offers: Vec<Offer> = batch.iter().map(|offer| offer.to_offer()).collect();
    assert_eq!(
        TestBatch::of(&offers).bytes(),
        bytes,
        "and is packed again to the byte"
    );
}
