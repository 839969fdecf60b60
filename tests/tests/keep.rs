//! Keeping a ledger: copied while it is used, lost, restored, and let go on a channel at a time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_chain::{ChannelClose, Signer};
use bourse_market::{Amount, ChannelId, KeyId, Seq, Signature};
use bourse_tests::{
    Behaviour, Buyer, Seller, World, bytes_of, call, close, error_text, map_of, page, refused, run, tokens,
};
use bourse_wamp::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use tokio::time::sleep;

const NOT_READY: &str = "bourse.error.not_ready";
const CHECK_FAILED: Option<i32> = Some(1);
const UNREACHABLE: Option<i32> = Some(3);

/// What a command said, and how it ended.
fn words(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout);
    format!("{said}{}", String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn done(data: &Path, args: &[&str]) -> String {
    let output = run(data, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", words(&output));
    words(&output)
}

#[track_caller]
fn failed(data: &Path, args: &[&str], code: Option<i32>) -> String {
    let output = run(data, args);
    assert_eq!(output.status.code(), code, "{args:?}: {}", words(&output));
    words(&output)
}

/// A market that sold once, was backed up, sold once more, and is gone.
struct Lost {
    world: World,
    buyer: Buyer,
    seller: Seller,
    key: KeyId,
    backup: PathBuf,
}

impl Lost {
    async fn after_two_sales() -> Self {
        let mut world = World::apart().await;
        let seller = Seller::new(&world, tokens(50)).await;
        let mut buyer = Buyer::new(&world, tokens(100)).await;
        let key = seller.offer(Some(tokens(10))).await;
        buyer.buy(key).await.unwrap();
        let backup = world.folder().join("backup");
        let said = done(world.data(), &["ledger", "backup", backup.to_str().unwrap()]);
        assert!(said.contains("every invariant holds"), "{said}");
        buyer.buy(key).await.unwrap();
        world.kill();
        Self {
            world,
            buyer,
            seller,
            key,
            backup,
        }
    }

    /// The disk is gone but for what was kept elsewhere: the backup, and the key.
    fn restore(&mut self) -> String {
        let data = self.world.data().to_owned();
        let gone = self.world.folder().join("gone");
        std::fs::rename(&data, &gone).unwrap();
        std::fs::create_dir(&data).unwrap();
        std::fs::copy(gone.join("marketmaker.key"), data.join("marketmaker.key")).unwrap();
        let said = done(&data, &["ledger", "restore", self.backup.to_str().unwrap()]);
        self.world.run_apart();
        said
    }

    /// `bourse ledger reconcile` with a state that `signer` signs.
    fn reconcile(&self, channel: ChannelId, pair: (Seq, Amount), signer: &Signer, more: &[&str]) -> Output {
        let state = ChannelClose::off_chain(self.world.market(), channel, pair.0, pair.1);
        self.show(
            channel,
            pair,
            signer.sign(&state.digest(&self.world.domain())),
            more,
        )
    }

    fn show(&self, channel: ChannelId, pair: (Seq, Amount), signature: Signature, more: &[&str]) -> Output {
        let (channel, seq) = (channel.to_string(), pair.0.to_string());
        let (balance, signature) = (pair.1.to_string(), signature.to_string());
        let mut args = vec![
            "ledger",
            "reconcile",
            &channel,
            "--seq",
            &seq,
            "--balance",
            &balance,
            "--signature",
            &signature,
        ];
        args.extend(more);
        run(self.world.data(), &args)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_ledger_keeps_every_channel_shut_until_its_latest_signed_state_is_reconciled() {
    let mut lost = Lost::after_two_sales().await;
    let said = lost.restore();
    assert!(said.contains("2 channels are in quarantine"), "{said}");
    lost.buyer.reconnect(&lost.world).await;
    let (buyer, seller) = (&lost.buyer, &lost.seller);

    // Neither buying, nor closing, nor taking the old pair for one's own.
    let order = buyer.order(lost.key, tokens(10));
    let getter = "xbr.marketmaker.get_payment_channel_balance";
    let pair = call(&buyer.session, getter, vec![Value::from(buyer.channel.0)]).await;
    let state = (Seq(2), tokens(90));
    let closed = close(&lost.world, &buyer.session, buyer.channel, state, &buyer.signer).await;
    for refusal in [
        buyer.send(&order).await.map(|receipt| receipt.value),
        pair,
        closed,
    ] {
        let error = refused(refusal, NOT_READY);
        assert!(error_text(&error).contains("is in quarantine"), "{error:?}");
    }
    let ask = vec![Value::from(buyer.signer.address().0)];
    let active = call(&buyer.session, "xbr.marketmaker.get_active_payment_channel", ask).await;
    assert_eq!(active.unwrap(), Value::Null);
    let listed = done(lost.world.data(), &["ledger", "quarantine"]);
    assert!(listed.contains(&buyer.channel.to_string()), "{listed}");
    // Page by page, each goes on behind the last one of the page before.
    let mut pages = Vec::new();
    let mut more: Vec<String> = Vec::new();
    loop {
        let page = ["--output", "json", "ledger", "quarantine", "--limit", "1"];
        let args: Vec<&str> = page.into_iter().chain(more.iter().map(String::as_str)).collect();
        let output = run(lost.world.data(), &args);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        let [row] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        let channel = row["channel"].as_str().unwrap().to_owned();
        let hint = format!("go on with --after {channel}");
        let hinted = String::from_utf8_lossy(&output.stderr).contains(&hint);
        pages.push(channel.clone());
        assert_eq!(hinted, pages.len() < 2, "{}", words(&output));
        if !hinted {
            break;
        }
        more = vec!["--after".to_owned(), channel];
    }
    pages.sort();
    let mut both = [buyer.channel.to_string(), seller.channel.to_string()];
    both.sort();
    assert_eq!(pages, both);
    let said = failed(
        lost.world.data(),
        &["ledger", "quarantine", "--after", &ChannelId([9; 16]).to_string()],
        CHECK_FAILED,
    );
    assert!(said.contains("the ledger has no channel"), "{said}");

    // A thief shows an older state, a richer one, one that another signed, one of another channel.
    let stranger = Signer::generate();
    for (channel, pair, signer, why) in [
        (
            buyer.channel,
            (Seq(1), tokens(100)),
            &buyer.signer,
            "is not its latest state",
        ),
        (
            buyer.channel,
            (Seq(2), tokens(100)),
            &buyer.signer,
            "is not its latest state",
        ),
        (
            buyer.channel,
            (Seq(9), tokens(91)),
            &buyer.signer,
            "is not its latest state",
        ),
        (buyer.channel, (Seq(2), tokens(90)), &stranger, "signed by"),
        (seller.channel, (Seq(2), tokens(40)), &buyer.signer, "signed by"),
    ] {
        for more in [&[][..], &["--accept-loss"]] {
            let output = lost.reconcile(channel, pair, signer, more);
            assert_eq!(output.status.code(), CHECK_FAILED, "{}", words(&output));
            assert!(words(&output).contains(why), "{}", words(&output));
        }
    }
    let replayed = buyer.sign_for(seller.channel, Seq(2), tokens(90));
    let output = lost.show(buyer.channel, (Seq(2), tokens(90)), replayed, &[]);
    assert_eq!(output.status.code(), CHECK_FAILED, "{}", words(&output));

    // Nor does a seller that signs for itself what it is owed, or shows another state's signature of the market maker's.
    let promise = seller.promise().to_string();
    let promised = ["--marketmaker-signature", &promise];
    for more in [
        &[][..],
        &["--accept-loss"],
        &[promised[0], promised[1], "--accept-loss"],
    ] {
        let output = lost.reconcile(seller.channel, (Seq(9), Amount::ZERO), &seller.signer, more);
        assert_eq!(output.status.code(), CHECK_FAILED, "{}", words(&output));
        let said = words(&output);
        assert!(
            said.contains("with the market maker's signature over it alone"),
            "{said}"
        );
    }

    // The buyer's latest state shows that a sale is missing; so does the seller's.
    for (channel, pair, signer, more) in [
        (buyer.channel, (buyer.seq, buyer.balance), &buyer.signer, &[][..]),
        (seller.channel, seller.books(), &seller.signer, &promised[..]),
    ] {
        let accepting = [more, &["--accept-loss"]].concat();
        let output = lost.reconcile(channel, pair, signer, more);
        assert_eq!(output.status.code(), CHECK_FAILED, "{}", words(&output));
        assert!(
            words(&output).contains("lacks what was sold in between"),
            "{}",
            words(&output)
        );
        // A seller has earned the 10 tokens, unless the operator says what of them it was paid for nothing.
        let most = if channel == seller.channel { 10 } else { 0 };
        let named = words(&output).contains("name with --prepaid");
        assert_eq!(named, most > 0, "{}", words(&output));
        let output = lost.reconcile(
            channel,
            pair,
            signer,
            &[&accepting[..], &["--prepaid", "11"]].concat(),
        );
        assert_eq!(output.status.code(), CHECK_FAILED, "{}", words(&output));
        let said = words(&output);
        let bounds = format!("has between 0 and {most} prepaid there, not 11");
        assert!(said.contains(&bounds), "{said}");
        let output = lost.reconcile(channel, pair, signer, &accepting);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        assert!(
            words(&output).contains("lost: the records of 1 positions"),
            "{}",
            words(&output)
        );
        let again = lost.reconcile(channel, pair, signer, &accepting);
        assert!(
            words(&again).contains("is not in quarantine"),
            "{}",
            words(&again)
        );
    }

    // Both go on from there.
    let Lost {
        world,
        mut buyer,
        mut seller,
        key,
        ..
    } = lost;
    seller.reconnect(&world).await;
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
    buyer.buy(key).await.unwrap();
    assert_eq!((buyer.seq, seller.books().0), (Seq(4), Seq(4)));
    let said = done(world.data(), &["ledger", "verify"]);
    assert!(said.contains("every invariant holds"), "{said}");
    let pair = (buyer.seq, buyer.balance);
    let closed = close(&world, &buyer.session, buyer.channel, pair, &buyer.signer)
        .await
        .unwrap();
    assert_eq!(map_of(&closed)["state"], Value::from(3u8));
    done(world.data(), &["ledger", "verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_knows_to_be_paid_for_no_purchase_is_netted_from_the_sellers_next_sales() {
    let mut lost = Lost::after_two_sales().await;
    lost.restore();
    lost.buyer.reconnect(&lost.world).await;
    let output = lost.reconcile(lost.buyer.channel, (Seq(2), tokens(90)), &lost.buyer.signer, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let promise = lost.seller.promise().to_string();
    let more = [
        "--marketmaker-signature",
        &promise,
        "--accept-loss",
        "--prepaid",
        "6",
    ];
    let books = lost.seller.books();
    let output = lost.reconcile(lost.seller.channel, books, &lost.seller.signer, &more);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("6 are prepaid"), "{}", words(&output));
    let Lost {
        world,
        buyer,
        mut seller,
        key,
        ..
    } = lost;
    seller.reconnect(&world).await;
    let order = buyer.order_at(key, tokens(10), Seq(3), tokens(80));
    buyer.send(&order).await.unwrap();
    // 4 of the 10 moved the channel.
    assert_eq!(seller.books().1, books.1.checked_sub(tokens(4)).unwrap());
    let said = done(world.data(), &["ledger", "verify"]);
    assert!(said.contains("every invariant holds"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledgers_own_state_releases_a_channel_and_a_loss_that_is_accepted_releases_all() {
    let mut lost = Lost::after_two_sales().await;
    lost.restore();
    lost.buyer.reconnect(&lost.world).await;
    let data = lost.world.data();
    // A buyer that hides what it spent since: nobody else can tell, and the market maker bears it.
    let output = lost.reconcile(lost.buyer.channel, (Seq(2), tokens(90)), &lost.buyer.signer, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("nothing is lost"), "{}", words(&output));

    let said = failed(data, &["ledger", "accept-loss"], Some(2));
    assert!(said.contains("--all"), "{said}");
    let said = done(data, &["ledger", "accept-loss", "--all"]);
    assert!(said.contains("1 channels go on"), "{said}");
    assert_eq!(
        done(data, &["--output", "json", "ledger", "quarantine"]).trim(),
        "[]"
    );
    let said = done(data, &["ledger", "accept-loss", "--all"]);
    assert!(said.contains("0 channels go on"), "{said}");

    // Its word is on record for ever.
    let said = done(data, &["ledger", "export", "--table", "reconciliations"]);
    let lines: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    let by_operator = lines
        .iter()
        .find(|line| line["record"]["shown"].is_null())
        .unwrap();
    assert_eq!(by_operator["record"]["channel"], lost.seller.channel.to_string());

    // A seller that takes the ledger's word starts over from there.
    let Lost {
        world,
        buyer,
        mut seller,
        key,
        ..
    } = lost;
    seller.reconnect(&world).await;
    let order = buyer.order_at(key, tokens(10), Seq(3), tokens(80));
    buyer.send(&order).await.unwrap();
    done(world.data(), &["ledger", "verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_never_served_nor_restored_over_a_ledger_or_under_another_key() {
    let mut lost = Lost::after_two_sales().await;
    let (data, backup) = (lost.world.data().to_owned(), lost.backup.clone());
    let at = backup.to_str().unwrap().to_owned();
    // Over the ledger that is there.
    let said = failed(&data, &["ledger", "restore", &at], CHECK_FAILED);
    assert!(said.contains("there is a ledger in"), "{said}");
    // The folder of the backup itself, with the key beside it.
    std::fs::copy(data.join("marketmaker.key"), backup.join("marketmaker.key")).unwrap();
    let said = failed(&backup, &["serve", "--listen-http", "127.0.0.1:0"], CHECK_FAILED);
    assert!(said.contains("is a backup"), "{said}");
    // Under the key of another market maker.
    let other = World::start().await;
    let wrong = lost.world.folder().join("wrong");
    std::fs::create_dir(&wrong).unwrap();
    std::fs::copy(
        other.data().join("marketmaker.key"),
        wrong.join("marketmaker.key"),
    )
    .unwrap();
    let said = failed(&wrong, &["ledger", "restore", &at], CHECK_FAILED);
    assert!(said.contains("belongs to market maker"), "{said}");
    // Without a key it is restored, and says which one is missing; without a host nothing is reconciled.
    let keyless = lost.world.folder().join("keyless");
    let said = done(&keyless, &["ledger", "restore", &at]);
    let expected = format!("put the key of market maker {}", lost.world.marketmaker());
    assert!(said.contains(&expected), "{said}");
    let channel = lost.buyer.channel.to_string();
    let said = failed(&keyless, &["ledger", "accept-loss", &channel], UNREACHABLE);
    assert!(said.contains("no market answers"), "{said}");
    // What was there before is as it was.
    lost.world.run_apart();
    done(&data, &["ledger", "verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_exported_beside_the_running_market_and_its_layout_told() {
    let world = World::apart().await;
    let seller = Seller::new(&world, tokens(50)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(10))).await;
    let receipt = buyer.buy(key).await.unwrap();
    let said = done(world.data(), &["ledger", "export"]);
    let lines: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |table: &str| {
        let rows = lines.iter().filter(|line| line["table"] == table);
        rows.map(|line| line["record"].clone()).collect::<Vec<_>>()
    };
    for (table, records) in [
        ("genesis", 1),
        ("totals", 1),
        ("channels", 2),
        ("offers", 1),
        ("bindings", 2),
    ] {
        assert_eq!(of(table).len(), records, "{table}");
    }
    let [purchase] = of("purchases").try_into().unwrap();
    assert_eq!(purchase["price"], "10000000000000000000");
    assert_eq!(purchase["identity"]["key"], key.to_string());
    assert_eq!(purchase["s1"], buyer.sign(Seq(2), tokens(90)).to_string());
    assert_eq!(purchase["state"]["Posted"]["s4"], receipt.signature.to_string());
    assert_eq!(
        purchase["state"]["Posted"]["sealed_key"],
        format!("0x{}", hex::encode(bytes_of(&receipt.value, "sealed_key")))
    );
    // Accounts and channels hold what the ledger was endowed with.
    let units = |value: &serde_json::Value| value.as_str().unwrap().parse::<u128>().unwrap();
    let totals = &of("totals")[0];
    let held: u128 = of("accounts")
        .iter()
        .map(|account| units(&account["balance"]))
        .sum();
    let locked: u128 = of("channels")
        .iter()
        .map(|channel| units(&channel["amount"]))
        .sum();
    assert_eq!(held + locked, units(&totals["float"]) + units(&totals["granted"]));

    let file = world.folder().join("accounts.jsonl");
    let args = [
        "ledger",
        "export",
        "--table",
        "accounts",
        "--out",
        file.to_str().unwrap(),
    ];
    done(world.data(), &args);
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), of("accounts").len());
    let said = failed(
        world.data(),
        &["ledger", "export", "--table", "secrets"],
        CHECK_FAILED,
    );
    assert!(said.contains("there is no table `secrets` to export"), "{said}");

    let said = done(world.data(), &["--output", "json", "ledger", "schema"]);
    let schema: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(schema["number"], 5);
    let tables = schema["tables"].as_array().unwrap();
    let channels = tables.iter().find(|table| table["name"] == "channels").unwrap();
    assert_eq!(
        (&channels["entries"], &channels["record"]),
        (&2.into(), &"Channel".into())
    );
    let said = done(world.data(), &["--output", "table", "ledger", "schema"]);
    assert!(said.contains("quarantined: u64?"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_whose_ledger_is_damaged_does_not_start_on_it() {
    let mut world = World::apart().await;
    let seller = Seller::new(&world, tokens(50)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(10))).await;
    buyer.buy(key).await.unwrap();
    world.kill();
    // One unit more is left in the buyer's channel than it deposited and did not spend.
    let file = world.data().join("data.mdb");
    let mut bytes = std::fs::read(&file).unwrap();
    let left = tokens(90).to_be_bytes();
    let places: Vec<usize> = bytes
        .windows(left.len())
        .enumerate()
        .filter_map(|(at, window)| (window == left).then_some(at))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + left.len() - 1] ^= 1;
    }
    std::fs::write(&file, bytes).unwrap();
    let args = [
        "serve",
        "--listen-ws",
        "127.0.0.1:0",
        "--listen-rs",
        "127.0.0.1:0",
        "--listen-http",
        "127.0.0.1:0",
    ];
    let said = failed(world.data(), &args, CHECK_FAILED);
    assert!(said.contains("the ledger is damaged"), "{said}");
    assert!(said.contains("remaining + inflight + spent"), "{said}");
    failed(world.data(), &["ledger", "verify"], CHECK_FAILED);
    let output = run(world.data(), &["--output", "json", "ledger", "verify"]);
    assert_eq!(output.status.code(), CHECK_FAILED);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["sound"], false);
    let violations = found["violations"].as_array().unwrap();
    assert!(
        violations.iter().any(|violation| violation
            .as_str()
            .unwrap()
            .contains("remaining + inflight + spent")),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_that_is_told_to_stop_as_soon_as_it_says_where_it_is_ends_cleanly() {
    let mut world = World::apart().await;
    for _ in 0..20 {
        // Fails unless the process ends with success.
        world.stop().await;
        world.try_run_apart(&[]).unwrap();
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_that_stops_is_no_longer_ready_takes_nothing_new_and_ends_what_is_under_way() {
    let mut world = World::start().await;
    let seller = Seller::new(&world, tokens(50)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let other = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(10))).await;
    buyer.buy(key).await.unwrap();
    let http = world.host().addresses().http;
    assert_eq!(page(http, "/readyz").await.0, "HTTP/1.1 200 OK");
    seller.behave(Behaviour::Slow(Duration::from_millis(700)));
    let under_way = tokio::spawn(async move {
        let order = buyer.order(key, tokens(10));
        buyer.pay(&order).await
    });
    sleep(Duration::from_millis(200)).await;
    let meanwhile = async {
        sleep(Duration::from_millis(200)).await;
        assert_eq!(page(http, "/readyz").await.0, "HTTP/1.1 503 Service Unavailable");
        let order = other.order(key, tokens(10));
        refused(other.send(&order).await, NOT_READY);
    };
    tokio::join!(world.stop(), meanwhile);
    under_way.await.unwrap().unwrap();
    let said = done(world.data(), &["ledger", "verify"]);
    assert!(said.contains("(2 posted, 0 pending)"), "{said}");
}

#[test]
fn a_ledger_of_an_earlier_version_is_upgraded_once_and_read_from_then_on() {
    is_upgraded_once(3, "10 channels, 7 offers, 10 purchases");
    is_upgraded_once(4, "14 channels, 10 offers, 10 purchases");
}

/// Whether the ledger of an earlier schema is, with all that it holds.
fn is_upgraded_once(schema: u32, held: &str) {
    let folder = tempfile::tempdir().unwrap();
    let fixture = format!("../host/store/tests/fixtures/schema-{schema}/data.mdb");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
    std::fs::copy(fixture, folder.path().join("data.mdb")).unwrap();
    let data = folder.path();
    let said = failed(data, &["ledger", "verify"], CHECK_FAILED);
    assert!(
        said.contains("let `bourse ledger upgrade` or `bourse serve` open it once"),
        "{said}"
    );
    let said = done(data, &["ledger", "upgrade"]);
    assert!(said.contains(&format!("has schema 5: {held}")), "{said}");
    assert!(
        said.contains("the ledger is converted to this version's schema"),
        "{said}"
    );
    let said = done(data, &["ledger", "upgrade"]);
    assert!(!said.contains("is converted"), "{said}");
    let said = done(data, &["ledger", "verify"]);
    assert!(said.contains("every invariant holds"), "{said}");
}
