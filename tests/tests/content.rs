//! Metadata of catalogs and the licence: fetched in the background from a gateway that may say anything, believed only for
//! their hash (W-09, W-54); and get_config, from what the start read (W-48).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's own helpers may stop the test"
)]

use bourse_app::Host;
use bourse_chain::{ContentId, checksum};
use bourse_market::registry::{Catalog, Registration};
use bourse_market::{Address, BlockNumber, CatalogId, Command, Nanos};
use bourse_store::{Options, Store};
use bourse_tests::{Chain, Gateway, Ipfs, Mood, Says, World, call, map_of, until};
use bourse_wamp::{CallOptions, Dict, Session, Value};
use std::time::{Duration, Instant};

const GET: &str = "xbr.marketmaker.get_catalogs_by_owner";
const OWNER: Address = Address([0xA; 20]);
/// `hello world`, as `ipfs add` names it.
const HELLO: &str = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD";
const HELLO_TEXT: &str = "hello world";

/// The block of a file, and its id.
fn block(file: &[u8]) -> (Vec<u8>, String) {
    fn number(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 0x7F {
            bytes.push((number & 0x7F) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }
    let length = number(file.len());
    let data = [&[8, 2, 0x12], &*length, file, &[0x18], &length].concat();
    let block = [&[0x0A], &*number(data.len()), &data].concat();
    let id = ContentId::of_block(&block).to_string();
    (block, id)
}

/// Puts a catalog for each text into the ledger of a market that is stopped.
async fn register(world: &World, metas: &[String]) {
    let path = world.data();
    let stamp = Store::stamp(path).unwrap().unwrap();
    let options = Options {
        map_size: world.config().store.map_size,
        ..Options::at(path)
    };
    let store = Store::open(options, &stamp).unwrap();
    for (number, meta) in metas.iter().enumerate() {
        let number = u32::try_from(number).unwrap();
        let mut id = [0xC; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let catalog = Catalog {
            id: CatalogId(id),
            created: BlockNumber(u64::from(number) + 1),
            updated: BlockNumber(u64::from(number) + 1),
            at: Nanos(1),
            seq: number,
            owner: OWNER,
            terms: String::new(),
            meta: meta.clone(),
            transaction: None,
            signature: None,
        };
        let command = Command::Register(Box::new(Registration::Catalog(catalog)));
        store.submit(command).await.unwrap();
    }
    store.shutdown();
}

/// A market with these catalogs, which asks this gateway.
async fn market(ipfs: &Ipfs, metas: &[String]) -> World {
    let mut world = World::with(|config| config.chain.ipfs_gateway = Some(ipfs.url())).await;
    world.stop().await;
    register(&world, metas).await;
    world.restart().await;
    world
}

/// What each catalog says of itself: meta and meta_data.
async fn metadata(session: &Session) -> Vec<(Value, String)> {
    let asked = Instant::now();
    let answer = call(session, GET, vec![Value::from(OWNER.0)]).await.unwrap();
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "no call waits for the gateway"
    );
    let Value::List(catalogs) = answer else {
        panic!("{answer:?}")
    };
    let entry = |catalog: &Value, name: &str| map_of(catalog).get(name).cloned().unwrap();
    let described = catalogs.iter().map(|catalog| match entry(catalog, "meta_data") {
        Value::Str(text) => (entry(catalog, "meta"), text),
        other => panic!("{other:?}"),
    });
    described.collect()
}

#[tokio::test]
async fn w_54_metadata_is_fetched_in_the_background_compared_with_its_hash_and_there_after_a_restart() {
    let ipfs = Ipfs::start().await;
    let described = r#"{"title": "Wetter", "für": "jeden"}"#;
    let (raw, known) = block(described.as_bytes());
    ipfs.says(&known, Says::Body(raw));
    // A gateway that does not know of blocks answers with the file.
    ipfs.says(HELLO, Says::Body(HELLO_TEXT.into()));
    let mut metas = vec![known.clone(), HELLO.to_owned(), String::new()];
    // Each of these is another's, or none at all.
    let (other, _) = block(b"something else");
    let (long, long_id) = block(&vec![b'a'; 100_000]);
    let (no_text, no_text_id) = block(&[0xFF; 9]);
    let folder = [0x0A, 2, 8, 1].to_vec();
    let folder_id = ContentId::of_block(&folder).to_string();
    ipfs.says(&long_id, Says::Body(long));
    ipfs.says(&no_text_id, Says::Body(no_text));
    ipfs.says(&folder_id, Says::Body(folder));
    metas.extend([long_id, no_text_id, folder_id]);
    let elsewhere = format!("{}/ipfs/{known}", ipfs.url());
    let lies = [
        Says::Body(other),
        Says::Body(b"hello there".to_vec()),
        Says::Body(Vec::new()),
        Says::Status("404 Not Found"),
        Says::Status("500 Internal Server Error"),
        Says::Elsewhere(elsewhere),
        Says::Endless,
        Says::Nothing,
        Says::Trickle,
    ];
    for (number, says) in lies.into_iter().enumerate() {
        let (_, id) = block(format!("never said: {number}").as_bytes());
        ipfs.says(&id, says);
        metas.push(id);
    }
    let mut world = market(&ipfs, &metas).await;
    let session = world.session().await;
    until("what is there is fetched", async || {
        let described = metadata(&session).await;
        [0, 1].iter().all(|place| !described[*place].1.is_empty())
    })
    .await;
    until("all was asked for", async || {
        let asked = ipfs.asked();
        metas
            .iter()
            .filter(|meta| !meta.is_empty())
            .all(|meta| asked.contains(&format!("/ipfs/{meta}?format=raw")))
    })
    .await;
    let expected: Vec<(Value, String)> = metas
        .iter()
        .enumerate()
        .map(|(place, meta)| {
            let text = [described, HELLO_TEXT].get(place).copied().unwrap_or_default();
            let meta = if meta.is_empty() {
                Value::Null
            } else {
                Value::from(meta.as_str())
            };
            (meta, text.to_owned())
        })
        .collect();
    assert_eq!(metadata(&session).await, expected);
    // One that is there is not asked for again, whoever asks; nor is it after a restart.
    let times = |id: &str| ipfs.asked().iter().filter(|path| path.contains(id)).count();
    assert_eq!((times(&known), times(HELLO)), (1, 1));
    drop(session);
    world.restart().await;
    let session = world.session().await;
    assert_eq!(metadata(&session).await, expected);
    assert_eq!((times(&known), times(HELLO)), (1, 1));

    // What is damaged on disk is not given out.
    let file = world
        .data()
        .join("content")
        .join(hex::encode(known.parse::<ContentId>().unwrap().digest()));
    std::fs::write(&file, "{}").unwrap();
    assert_eq!(metadata(&session).await[0].1, "");
    until("it is fetched again", async || {
        metadata(&session).await[0].1 == described
    })
    .await;
    world.assert_sound();
}

#[tokio::test]
async fn w_09_a_name_on_the_chain_that_is_no_hash_reads_writes_and_fetches_nothing() {
    let ipfs = Ipfs::start().await;
    let secret = "../marketmaker.key";
    // As long as an id.
    let padded = format!("../{}marketmaker.key", "./".repeat(14));
    assert_eq!(padded.len(), 46);
    let metas: Vec<String> = [
        secret,
        "../../marketmaker.key",
        "/etc/passwd",
        "../../../../../../../../../../../../etc/passwd",
        "Qm/../../../../../../../../../../../etc/passwd",
        "content",
        "..",
        ".",
        "http://127.0.0.1:1/steal",
        "?format=raw",
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
        "QmUEM5UuSUMeET2Zo8YQtDMK74Fr2SJGEyTokSYzT3u../",
        "Qm\0\n\r\u{202e}",
        &padded,
    ]
    .map(str::to_owned)
    .to_vec();
    let world = market(&ipfs, &metas).await;
    let session = world.session().await;
    for _ in 0..2 {
        let described = metadata(&session).await;
        assert_eq!(described.len(), metas.len());
        assert!(described.iter().all(|(_, text)| text.is_empty()), "{described:?}");
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    assert_eq!(ipfs.asked(), Vec::<String>::new());
    assert!(!world.data().join("content").exists());
}

/// The catalogs of one owner say more than fits into an answer: it is cut, and says where to go on.
#[tokio::test]
async fn metadata_that_does_not_fit_comes_page_by_page() {
    let ipfs = Ipfs::start().await;
    let mut metas = Vec::new();
    for number in 0..20 {
        let (block, id) = block(format!("{number:\u{1}<60000}").as_bytes());
        ipfs.says(&id, Says::Body(block));
        metas.push(id);
    }
    let world = market(&ipfs, &metas).await;
    let session = world.session().await;
    metadata(&session).await;
    until("all of it is fetched", async || {
        std::fs::read_dir(world.data().join("content")).is_ok_and(|folder| folder.count() == metas.len())
    })
    .await;
    let (mut found, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let kwargs = Dict::from([
            ("owner_adr".to_owned(), Value::from(OWNER.0)),
            ("cursor".to_owned(), cursor),
        ]);
        let mut page = session
            .call(GET, Vec::new(), kwargs, CallOptions::default())
            .await
            .unwrap();
        let Some(Value::List(catalogs)) = page.args.pop() else {
            panic!("expected a list")
        };
        assert!(!catalogs.is_empty());
        pages += 1;
        found.extend(catalogs);
        cursor = page.kwargs.remove("cursor").unwrap_or(Value::Null);
        if cursor == Value::Null {
            break;
        }
    }
    assert_eq!((found.len(), pages), (20, 20));
    assert!(found.iter().all(|catalog| {
        let said = map_of(catalog).get("meta_data");
        matches!(said, Some(Value::Str(text)) if text.len() >= 60_000)
    }));
}

async fn config(session: &Session, include_eula_text: bool) -> Value {
    let included = vec![Value::from(include_eula_text)];
    call(session, "xbr.marketmaker.get_config", included)
        .await
        .unwrap()
}

fn entry(value: &Value, name: &str) -> Value {
    map_of(value).get(name).cloned().unwrap()
}

/// A node that says that the licence is `hello world`.
async fn node_of(chain: &Chain) -> Gateway {
    let node = Gateway::to(chain.url()).await;
    let theirs = chain.contracts.eula(chain.node()).await.unwrap();
    let (theirs, ours) = (hex::encode(theirs), hex::encode(HELLO));
    node.be(Mood::lies(move |_, said| match said {
        serde_json::Value::String(text) => text.replace(&theirs, &ours).into(),
        other => other,
    }));
    node
}

#[tokio::test]
async fn w_48_coin_owner_and_licence_are_told_from_what_the_start_read_and_the_gateway_proved() {
    let Some(chain) = Chain::start().await else { return };
    let (node, ipfs) = (node_of(&chain).await, Ipfs::start().await);
    let (raw, described) = block(b"what the weather does");
    ipfs.says(&described, Says::Body(raw));
    ipfs.says(HELLO, Says::Body(b"sign here, and never mind the hash".to_vec()));
    let mut world = chain
        .world(1, |config| {
            config.chain.rpc = Some(node.url());
            config.chain.ipfs_gateway = Some(ipfs.url());
        })
        .await;
    let session = world.session().await;
    let told = config(&session, true).await;
    assert_eq!(entry(&told, "coin"), Value::from(checksum(chain.contracts.token)));
    assert_eq!(
        entry(&told, "owner"),
        Value::from(checksum(chain.parties.owner.address()))
    );
    let eula = entry(&told, "eula");
    assert_eq!(entry(&eula, "hash"), Value::from(HELLO));
    assert_eq!(entry(&eula, "url"), Value::from(format!("ipfs://{HELLO}")));
    assert_eq!(entry(&eula, "text"), Value::Null);
    until("the licence is asked for", async || ipfs.asked().len() > 1).await;
    assert_eq!(
        entry(&entry(&config(&session, true).await, "eula"), "text"),
        Value::Null
    );
    ipfs.says(HELLO, Says::Body(HELLO_TEXT.into()));
    until("the licence is there", async || {
        let eula = entry(&config(&session, true).await, "eula");
        entry(&eula, "text") == Value::from(HELLO_TEXT)
    })
    .await;
    let eula = entry(&config(&session, false).await, "eula");
    assert_eq!(entry(&eula, "text"), Value::Null, "only for whoever asks for it");

    // A catalog is fetched as soon as its block counts, before anybody asks for it.
    let create = chain
        .contracts
        .create_catalog(CatalogId([9; 16]), String::new(), described.clone());
    chain.send(&chain.parties.seller, &create).await;
    chain.mine(1).await;
    until("the metadata is asked for", async || {
        ipfs.asked().contains(&format!("/ipfs/{described}?format=raw"))
    })
    .await;

    // No call of these asks the node.
    node.be(Mood::Down);
    let again = config(&session, true).await;
    assert_eq!(entry(&again, "coin"), entry(&told, "coin"));
    until("the metadata is there", async || {
        let owner = vec![Value::from(chain.parties.seller.address().0)];
        let Value::List(catalogs) = call(&session, GET, owner).await.unwrap() else {
            panic!("expected a list")
        };
        entry(catalogs.last().unwrap(), "meta_data") == Value::from("what the weather does")
    })
    .await;

    // From a file of the operator's it is there at once; and one that is another keeps the market from starting.
    drop(session);
    world.stop().await;
    let node = node_of(&chain).await;
    let file = world.folder().join("licence.txt");
    std::fs::write(&file, HELLO_TEXT).unwrap();
    let offline = chain
        .world(1, |config| {
            config.chain.rpc = Some(node.url());
            config.chain.eula_file = Some(file.clone());
        })
        .await;
    let session = offline.session().await;
    let eula = entry(&config(&session, true).await, "eula");
    assert_eq!(entry(&eula, "text"), Value::from(HELLO_TEXT));
    let mut settings = world.config().clone();
    settings.chain.rpc = Some(node.url());
    settings.chain.eula_file = Some(file.clone());
    std::fs::write(&file, "hello World").unwrap();
    let refused = Host::start(&settings).await.err().unwrap();
    assert!(
        format!("{refused:#}").contains("every byte counts"),
        "{refused:#}"
    );
}
