//! The console in a real browser: every page is clicked through, shows what the ledger has, works by keyboard, and has nothing
//! to complain of. Pictures of all pages, light and dark, wide and narrow, go into `screenshots` of the target folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Config, Rule};
use bourse_market::{Amount, KeyId};
use bourse_policy::testing::{Guest, price};
use bourse_tests::{
    Browser, Buyer, Seller, TOKEN, World, binary, call, policy_status, tokens, with_token, write_policy,
    write_token,
};
use bourse_wamp::{Dict, Value};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

const WIDE: u32 = 1280;
const NARROW: u32 = 360;

/// A component that always asks for so many tokens.
fn asking(version: &str, whole: u64) -> Vec<u8> {
    Guest::named("ladder")
        .version(version)
        .quote(price(*tokens(whole).limbs(), 30_000))
        .build()
}

/// A market in which something happened, and a browser that looks at it.
struct Scene {
    world: World,
    seller: Seller,
    buyer: Buyer,
    browser: Browser,
    /// The key of the first API, whose price a policy finds.
    key: KeyId,
    /// One of the second, which `ladder` prices.
    other: KeyId,
}

impl Scene {
    async fn start() -> Option<Self> {
        let browser = Browser::start().await?;
        let world = World::prepared(fill, configure).await;
        let seller = Seller::new(&world, tokens(50_000)).await;
        let mut buyer = Buyer::new(&world, tokens(20_000)).await;
        let key = seller.offer(None).await;
        let named = [
            ("api_id", Value::from([8_u8; 16])),
            ("uri", Value::from("org.weather.rain.")),
        ];
        let second: Dict = named
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect();
        let other = seller.try_offer(None, second.clone()).await.unwrap();
        let fixed = seller
            .try_offer(Some(Amount::parse_tokens("0.75").unwrap()), second)
            .await
            .unwrap();
        for round in 0..12 {
            buyer.buy(key).await.unwrap();
            if round % 3 == 0 {
                buyer.buy(other).await.unwrap();
                buyer.buy(fixed).await.unwrap();
            }
            buyer.quote(key).await.unwrap();
        }
        // What a stranger wrote is shown, and is text.
        let hostile = Value::from("<img src=x onerror=alert(1)>");
        call(&buyer.session, "xbr.marketmaker.get_quote", vec![hostile])
            .await
            .unwrap_err();
        for _ in 0..3 {
            let unknown = vec![Value::from([9_u8; 16])];
            call(&buyer.session, "xbr.marketmaker.get_quote", unknown)
                .await
                .unwrap_err();
        }
        Some(Self {
            world,
            seller,
            buyer,
            browser,
            key,
            other,
        })
    }

    /// Opens a page of the console by its address.
    async fn open(&mut self, page: &str) {
        let http = self.world.host().addresses().http;
        self.browser
            .go(&format!("http://{http}/console/#/realm1/{page}"))
            .await;
        self.drawn(page.split('/').next().unwrap()).await;
    }

    /// Chooses a page in the list of pages.
    async fn choose(&mut self, page: &str) {
        self.browser
            .click(&format!("nav a[href='#/realm1/{page}']"))
            .await;
        self.drawn(page).await;
    }

    async fn drawn(&mut self, page: &str) {
        self.browser
            .until(&format!("document.querySelector('.page.{page}')?.dataset.drawn"))
            .await;
    }

    /// What stands beside a name.
    async fn fact(&mut self, name: &str) -> String {
        let found = self.browser.until(&fact(name)).await;
        found.as_str().unwrap().to_owned()
    }

    /// The texts of a row of the table with this caption.
    async fn row(&mut self, caption: &str, row: usize) -> Vec<String> {
        let table = format!(
            "[...document.querySelectorAll('table')].find((t) => t.caption.textContent.startsWith({}))",
            json!(caption)
        );
        let cells = format!("[...({table}?.tBodies[0].rows[{row}]?.cells ?? [])].map((c) => c.textContent)");
        let found = self
            .browser
            .until(&format!("{cells}.length ? {cells} : null"))
            .await;
        serde_json::from_value(found).unwrap()
    }

    async fn assert_quiet(&mut self) {
        let complaints = self.browser.complaints().await;
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

fn fact(name: &str) -> String {
    format!(
        "[...document.querySelectorAll('dt')].find((dt) => dt.textContent === {})?.nextElementSibling.textContent",
        json!(name)
    )
}

fn fill(data: &Path) {
    write_token(data);
    write_policy(data, "ladder", &asking("1.0.0", 2));
}

fn configure(config: &mut Config) {
    with_token(config);
    let mut ladder = Rule {
        policy: "ladder".to_owned(),
        ..Rule::default_pricing()
    };
    ladder.api = Some("08".repeat(16).parse().unwrap());
    let mut surge = Rule::default_pricing();
    surge.params.insert("base".to_owned(), "10".into());
    config.policies.rule = vec![ladder, surge];
}

/// An amount as the console spells it: thousands apart.
fn spelled(amount: Amount) -> String {
    let text = amount.to_string();
    let (whole, rest) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, format!(".{fraction}")),
        None => (text.as_str(), String::new()),
    };
    let digits: Vec<char> = whole.chars().collect();
    let mut apart = String::new();
    for (place, digit) in digits.iter().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            apart.push('\u{202f}');
        }
        apart.push(*digit);
    }
    apart + &rest
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_clicked_through_and_shows_what_the_ledger_has() {
    let Some(mut scene) = Scene::start().await else {
        return;
    };
    scene.browser.screen(WIDE, false).await;
    let http = scene.world.host().addresses().http;
    // As a person would who types the address alone.
    scene.browser.go(&format!("http://{http}/")).await;
    scene.drawn("overview").await;
    let sales = scene.world.host().counts().unwrap().posted;
    assert_eq!(scene.fact("Sales").await, sales.to_string());
    assert_eq!(scene.fact("Status").await, "RUNNING");
    scene
        .browser
        .until("document.querySelectorAll('.plot svg').length === 2")
        .await;
    scene
        .browser
        .until("document.getElementById('live').classList.contains('on')")
        .await;

    // What happens now comes by itself.
    let paid = scene.buyer.buy(scene.key).await.unwrap().paid;
    scene
        .browser
        .until(&format!("{} === '{}'", fact("Sales"), sales + 1))
        .await;
    let row = scene.row("The last sales", 0).await;
    assert_eq!(
        (row[2].as_str(), row[3].as_str(), row[4].as_str()),
        ("10", spelled(paid).as_str(), "surge")
    );

    scene.choose("offers").await;
    let rows = "document.querySelectorAll('.offers tbody tr').length";
    assert_eq!(scene.browser.eval(rows).await, 3);
    let fixed = scene.row("All offers", 0).await;
    assert_eq!((fixed[1].as_str(), fixed[3].as_str()), ("on sale", "0.75"));
    scene.browser.click("#offers-api").await;
    scene.browser.write(&"07".repeat(16)).await;
    scene.browser.press("Enter").await;
    scene.browser.until(&format!("{rows} === 1")).await;

    scene.choose("channels").await;
    let channel = scene.row("Payment channels of buyers, live", 0).await;
    assert_eq!(
        (channel[1].as_str(), channel[2].as_str()),
        ("open", spelled(scene.buyer.balance).as_str())
    );
    let select = "(() => { const s = document.getElementById('channels-list'); s.value = 'paying';
                  s.dispatchEvent(new Event('change')); })()";
    scene.browser.eval(select).await;
    let channel = scene.row("Paying channels of sellers, live", 0).await;
    assert_eq!(channel[2], spelled(scene.seller.books().1));

    scene.choose("refusals").await;
    let reason = scene.row("Refusals by reason", 0).await;
    assert_eq!(
        (reason[0].as_str(), reason[1].as_str()),
        ("crossbar.error.no_such_object", "3")
    );
    assert_eq!(
        scene
            .browser
            .eval("document.querySelector('main img') === null")
            .await,
        true
    );

    scene.choose("policies").await;
    let revision = policy_status(&scene.world, "ladder").revision.unwrap();
    let hash = "document.querySelector('[aria-labelledby=policy-ladder] .hash').textContent";
    assert_eq!(scene.browser.eval(hash).await, revision);
    let calls = scene.row("Calls of ladder", 0).await;
    assert_eq!(
        (calls[0].as_str(), calls[1].as_str(), calls[5].as_str()),
        ("pricing", "4", "0")
    );
    assert_eq!(
        scene
            .browser
            .eval("document.getElementById('component') === null")
            .await,
        true
    );

    scene.choose("why").await;
    scene.browser.click("#why-id").await;
    let receipt = format!("{}:{}", scene.buyer.channel, scene.buyer.seq.0);
    scene.browser.write(&receipt).await;
    scene.browser.press("Enter").await;
    assert_eq!(scene.fact("Paid").await, format!("{} tokens", spelled(paid)));
    scene.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_deploys_by_upload_has_the_price_explained_and_goes_back() {
    let Some(mut scene) = Scene::start().await else {
        return;
    };
    scene.browser.screen(WIDE, false).await;
    scene.open("policies").await;
    give_token(&mut scene, "wrong").await;
    scene
        .browser
        .until("document.querySelector('.note.bad')?.textContent.includes('not the operator')")
        .await;
    // The host's refusals of a wrong token are in the browser's log, as they should be, and nothing else is.
    for complaint in scene.browser.complaints().await {
        assert!(complaint.contains("401"), "{complaint}");
    }
    give_token(&mut scene, TOKEN).await;
    scene
        .browser
        .until("document.getElementById('operator').textContent.includes('✓')")
        .await;

    let file = upload(&scene, "2.0.0", 7);
    let version = "[...document.querySelectorAll('[aria-labelledby=policy-ladder] dt')]
                   .find((dt) => dt.textContent === 'Version')?.nextElementSibling.textContent";
    scene.browser.until("document.getElementById('component')").await;
    scene.browser.choose_file("#component", &file).await;
    scene.browser.click("input[value=trial]").await;
    scene.browser.click("form.card button.main").await;
    scene
        .browser
        .until(&format!("{} === '4'", fact("Would differ")))
        .await;
    assert_eq!(
        scene.browser.eval(version).await,
        "1.0.0",
        "a trial changes nothing"
    );
    take_pictures(&mut scene, "policies-trial").await;

    scene.browser.click("input[value=deploy]").await;
    scene.browser.click("form.card button.main").await;
    scene
        .browser
        .until("document.querySelector('.note.good')?.textContent.includes('ladder 2.0.0')")
        .await;
    scene.browser.until(&format!("{version} === '2.0.0'")).await;
    assert_eq!(
        policy_status(&scene.world, "ladder").version.as_deref(),
        Some("2.0.0")
    );
    let paid = scene.buyer.buy(scene.other).await.unwrap().paid;
    assert_eq!(paid, tokens(7));

    // From the sale to its reason, and that reason once more.
    scene.choose("overview").await;
    scene
        .browser
        .until("document.querySelector('.overview tbody a')")
        .await;
    scene.browser.click(".overview table tbody tr a").await;
    scene.drawn("why").await;
    assert_eq!(scene.fact("Paid").await, "7 tokens");
    let revision = policy_status(&scene.world, "ladder").revision.unwrap();
    assert_eq!(scene.fact("Revision").await, revision);
    let steps = scene
        .browser
        .eval("document.querySelector('.explanation').textContent")
        .await;
    assert!(steps.as_str().unwrap().contains("It said 7"), "{steps}");
    scene.browser.click(".explanation .card button").await;
    scene
        .browser
        .until("document.querySelector('.replayed .good')?.textContent.includes('to the last bit')")
        .await;

    scene.choose("policies").await;
    let back = "[...document.querySelectorAll('[aria-labelledby=policy-ladder] button')].find((b) => b.textContent === 'Roll ladder back')";
    scene.browser.until(&format!("!!{back}")).await;
    scene.browser.eval(&format!("{back}.click()")).await;
    scene
        .browser
        .click("[aria-labelledby=policy-ladder] [data-asking] button.main")
        .await;
    scene.browser.until(&format!("{version} === '1.0.0'")).await;
    assert_eq!(scene.buyer.buy(scene.other).await.unwrap().paid, tokens(2));
    scene.assert_quiet().await;
}

async fn give_token(scene: &mut Scene, token: &str) {
    scene.browser.click("#operator").await;
    scene.browser.until("document.getElementById('token').open").await;
    scene.browser.click("#token-input").await;
    scene.browser.write(token).await;
    scene.browser.press("Enter").await;
    scene
        .browser
        .until("!document.getElementById('token').open")
        .await;
}

fn upload(scene: &Scene, version: &str, whole: u64) -> PathBuf {
    let folder = scene.world.folder().join("build");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("ladder.wasm");
    std::fs::write(&file, asking(version, whole)).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_works_by_keyboard_has_names_for_what_cannot_be_seen_and_fits_a_narrow_screen() {
    let Some(mut scene) = Scene::start().await else {
        return;
    };
    scene.browser.screen(WIDE, false).await;
    scene.open("overview").await;
    scene.browser.press("Tab").await;
    assert_eq!(scene.browser.eval("document.activeElement.id").await, "skip");
    scene.browser.press("Enter").await;
    assert_eq!(scene.browser.eval("document.activeElement.id").await, "main");
    // From the top again: only the address after the # would not load the page anew.
    scene.browser.go("about:blank").await;
    scene.open("overview").await;
    for _ in 0..40 {
        scene.browser.press("Tab").await;
        let at = scene
            .browser
            .eval("document.activeElement.getAttribute('href')")
            .await;
        let ring = scene
            .browser
            .eval("getComputedStyle(document.activeElement).outlineStyle")
            .await;
        assert_ne!(ring, "none", "what has the focus shows it");
        if at == "#/realm1/refusals" {
            break;
        }
    }
    scene.browser.press("Enter").await;
    scene.drawn("refusals").await;

    for page in ["overview", "offers", "channels", "refusals", "policies", "why"] {
        for width in [WIDE, NARROW] {
            scene.browser.screen(width, false).await;
            scene.open(page).await;
            let found: Vec<String> = serde_json::from_value(scene.browser.eval(NAMELESS).await).unwrap();
            assert!(found.is_empty(), "{page} at {width}: {found:#?}");
        }
    }
    scene.assert_quiet().await;
}

/// What of a page somebody cannot use who does not see it, or sees little of it at once.
const NAMELESS: &str = r#"(() => {
  const found = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  for (const control of all("input, select")) {
    if (!control.labels?.length) found.push(`no label: ${control.outerHTML}`);
  }
  for (const button of all("button, a")) {
    if (!button.textContent.trim() && !button.getAttribute("aria-label")) found.push(`no name: ${button.outerHTML}`);
  }
  for (const table of all("table")) {
    if (!table.caption?.textContent) found.push("a table without a caption");
  }
  for (const drawing of all("svg:not([aria-hidden])")) {
    if (drawing.getAttribute("role") !== "img" || !drawing.getAttribute("aria-label")) found.push("a drawing without words");
  }
  for (const image of all("img")) {
    if (!image.hasAttribute("alt")) found.push(`no text instead: ${image.outerHTML}`);
  }
  for (const landmark of ["header", "nav", "main", "h1"]) {
    if (all(landmark).length !== 1) found.push(`${all(landmark).length} of ${landmark}`);
  }
  const ids = all("[id]").map((element) => element.id);
  if (new Set(ids).size !== ids.length) found.push(`ids twice: ${ids.filter((id, at) => ids.indexOf(id) !== at)}`);
  const levels = all("h1, h2, h3").filter((h) => h.offsetParent).map((h) => Number(h.tagName[1]));
  levels.forEach((level, at) => { if (at && level > levels[at - 1] + 1) found.push(`a heading skips a level: ${levels}`); });
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) found.push(`${wide} wide on a screen of ${innerWidth}`);
  const contrast = (one, other) => {
    const style = getComputedStyle(document.documentElement);
    const light = (name) => {
      const hex = style.getPropertyValue(name).trim().slice(1);
      const [r, g, b] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
        .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  for (const [ink, paper] of [
    ["--ink", "--paper"], ["--ink", "--back"], ["--faint", "--paper"], ["--faint", "--back"], ["--accent", "--paper"],
    ["--accent", "--back"], ["--on-accent", "--accent"], ["--good", "--paper"], ["--warn", "--paper"], ["--bad", "--paper"],
    ["--ink", "--good-back"], ["--ink", "--warn-back"], ["--ink", "--bad-back"],
  ]) {
    const ratio = contrast(ink, paper);
    if (!(ratio >= 4.5)) found.push(`${ink} on ${paper}: ${ratio}`);
  }
  return found;
})()"#;

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_every_page_are_taken_light_and_dark_wide_and_narrow() {
    let Some(mut scene) = Scene::start().await else {
        return;
    };
    let receipt = format!("{}:{}", scene.buyer.channel, scene.buyer.seq.0);
    let why = format!("why/{receipt}");
    for page in ["overview", "offers", "channels", "refusals", "policies", &why] {
        scene.open(page).await;
        take_pictures(&mut scene, page.split('/').next().unwrap()).await;
    }
    scene.open("policies").await;
    give_token(&mut scene, TOKEN).await;
    scene.browser.until("document.getElementById('component')").await;
    take_pictures(&mut scene, "policies-operator").await;
    scene.assert_quiet().await;
}

/// Takes the page as it stands in all four ways.
async fn take_pictures(scene: &mut Scene, name: &str) {
    let folder = binary().parent().unwrap().parent().unwrap().join("screenshots");
    for (width, size) in [(WIDE, "wide"), (NARROW, "narrow")] {
        for (dark, colours) in [(false, "light"), (true, "dark")] {
            scene.browser.screen(width, dark).await;
            // Charts fit themselves to the screen after it has changed.
            let settled: Json = scene
                .browser
                .eval("new Promise((done) => setTimeout(() => done(true), 300))")
                .await;
            assert_eq!(settled, true);
            let file = folder.join(format!("{name}-{size}-{colours}.png"));
            scene.browser.picture(&file).await;
            let taken = std::fs::metadata(&file).unwrap().len();
            assert!(taken > 5000, "{} has {taken} bytes", file.display());
        }
    }
    scene.browser.screen(WIDE, false).await;
}
