//! The three hooks as traits, and the way to ask them with parameters that are still text.
//!
//! [`macro@crate::policy`] implements these traits for the functions it finds in an impl block; nobody writes them by
//! hand, but tests ask through [`quote`], [`admit`], [`filter`] and [`authorize`].

use crate::{
    AdmitRequest, Batch, ConsentRequest, FilterRequest, Host, Params, Price, PriceRequest, Refusal, Verdict,
};

/// What every policy says about itself.
pub trait Policy {
    /// Its name, which must equal the stem of the component's file: `surge` for `surge.wasm`.
    const NAME: &'static str;
    /// Its version, for people; the host tells revisions apart by the hash of the component.
    const VERSION: &'static str;
    /// One sentence on what it does.
    const SUMMARY: &'static str;
    /// What the operator and the seller may set.
    type Params: Params;
}

/// The hook that sets prices: asked in get_quote, and in buy_key where the buyer holds no live quote.
///
/// Each key that a buyer has bought makes the next one cheaper. What was bought is a counter of the policy's state: it
/// counts once the purchase is posted, and a quote that is never used counts nothing.
///
/// ```
/// use bourse::testing::{BUYER, MockHost, request};
/// use bourse::{Action, Amount, Price, PriceRequest, Refusal, State, WHOLE_BP, amount};
///
/// #[derive(bourse::Params)]
/// pub struct Params {
///     /// Price of the first key, in tokens.
///     #[param(default = "2")]
///     start: Amount,
///     /// What each further key takes off, in hundredths of a percent.
///     #[param(default = 500, max = WHOLE_BP)]
///     step_bp: u64,
/// }
///
/// pub struct Loyalty;
///
/// /// The more a buyer has bought, the less the next key costs.
/// #[bourse::policy]
/// impl Loyalty {
///     pub fn quote(request: &PriceRequest<Params>, host: &impl State) -> Result<Price, Refusal> {
///         let Some(buyer) = request.buyer else {
///             return Err(Refusal::new("login_first", "prices depend on the buyer, and this one is not known"));
///         };
///         let key = buyer.to_string();
///         let bought = u64::try_from(host.counter(&key)).unwrap_or(0);
///         let discount = bought.saturating_mul(request.params.step_bp).min(WHOLE_BP / 2);
///         if request.action == Action::Buy {
///             host.add(&key, 1);
///         }
///         Ok(request.price(request.params.start.saturating_mul_bp(WHOLE_BP - discount), 10_000))
///     }
/// }
///
/// let mut host = MockHost::default();
/// let buy = PriceRequest { buyer: Some(BUYER), action: Action::Buy, ..request(Params::default()) };
/// assert_eq!(Loyalty::quote(&buy, &host).unwrap().amount, amount!("2"));
/// host.post();
/// assert_eq!(Loyalty::quote(&buy, &host).unwrap().amount, amount!("1.9"));
/// ```
pub trait Pricing: Policy {
    /// Prices one key for one buyer. The host bounds the answer to the request's floor and cap.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] tells the buyer why there is no price.
    fn quote(request: &PriceRequest<Self::Params>, host: &impl Host) -> Result<Price, Refusal>;
}

/// The hook that decides which offers exist, and for whom. `admit` is asked in place_offer; `filter` in query_offers,
/// and with a batch of one in get_quote and buy_key: what it hides is an unknown key to the buyer.
///
/// A policy may have either function alone: without `admit` every offer is admitted, without `filter` all are shown.
///
/// ```
/// use bourse::testing::{MockHost, TestBatch, admit_request, filter_request, offer};
/// use bourse::{AdmitRequest, Batch, FilterRequest, Host, Offer, Refusal, Verdict};
///
/// #[derive(bourse::Params)]
/// pub struct Params {
///     /// The label that every offer must carry.
///     #[param(default = "country")]
///     label: String,
/// }
///
/// pub struct Labelled;
///
/// /// Offers carry a label, and those that run out are shown first.
/// #[bourse::policy]
/// impl Labelled {
///     pub fn admit(request: &AdmitRequest<Params>) -> Result<(), Refusal> {
///         let label = &request.params.label;
///         match request.offer.category(label) {
///             Some(_) => Ok(()),
///             None => Err(Refusal::new("no_label", format!("the offer has no category `{label}`"))),
///         }
///     }
///
///     pub fn filter(request: &FilterRequest<Params>, offers: &Batch<'_>) -> Verdict {
///         let mut verdict = offers.keep_if(|offer| offer.category(&request.params.label).is_some());
///         let mut scarce: Vec<(u32, usize)> =
///             offers.iter().enumerate().filter_map(|(index, offer)| Some((offer.remaining()?, index))).collect();
///         scarce.sort_unstable();
///         verdict.order(scarce.into_iter().map(|(_, index)| index));
///         verdict
///     }
/// }
///
/// let german = || Offer { categories: vec![("country".into(), "de".into())], ..offer() };
/// let last = Offer { remaining: Some(1), ..german() };
/// let page = TestBatch::of(&[german(), offer(), last]);
/// let verdict = Labelled::filter(&filter_request(Params::default()), &page.view());
/// assert_eq!(verdict.shown(), [2, 0]);
/// assert_eq!(Labelled::admit(&admit_request(Params::default())).unwrap_err().code, "no_label");
/// ```
pub trait Offers: Policy {
    /// Whether the seller may place the offer.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] tells the seller why not.
    fn admit(request: &AdmitRequest<Self::Params>, host: &impl Host) -> Result<(), Refusal>;

    /// Which of the offers this buyer may see, and in which order.
    fn filter(request: &FilterRequest<Self::Params>, offers: &Batch<'_>, host: &impl Host) -> Verdict;
}

/// The hook that says whether two parties may deal: asked in place_offer, query_offers, get_quote and buy_key. Nobody
/// may deal if it fails.
///
/// ```
/// use bourse::testing::{BUYER, consent_request};
/// use bourse::{Action, ConsentGrant, ConsentRequest, DelegateType, Refusal};
///
/// pub struct Members;
///
/// /// Only delegates of members buy.
/// #[bourse::policy]
/// impl Members {
///     pub fn authorize(request: &ConsentRequest<()>) -> Result<(), Refusal> {
///         let buys = |grant: &ConsentGrant| grant.granted && grant.delegate_type.buys();
///         match request.action {
///             Action::Place | Action::Query => Ok(()),
///             _ if request.buyer_grants.iter().any(buys) => Ok(()),
///             _ => Err(Refusal::new("no_member", "no member has let this delegate buy")),
///         }
///     }
/// }
///
/// let mut request = consent_request(());
/// assert_eq!(Members::authorize(&request).unwrap_err().code, "no_member");
/// request.buyer_grants.push(ConsentGrant {
///     delegate: BUYER,
///     delegate_type: DelegateType::Consumer,
///     granted: true,
///     ..ConsentGrant::default()
/// });
/// assert_eq!(Members::authorize(&request), Ok(()));
/// ```
pub trait Consent: Policy {
    /// Whether the action may go on.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] tells the caller why not.
    fn authorize(request: &ConsentRequest<Self::Params>, host: &impl Host) -> Result<(), Refusal>;
}

/// Asks for a price with parameters that are still JSON, as the exported hook does.
///
/// # Errors
///
/// [`Refusal`] with the code `bad_params`, or the policy's own.
pub fn quote<P: Pricing>(request: PriceRequest<String>, host: &impl Host) -> Result<Price, Refusal> {
    let PriceRequest {
        now,
        market,
        action,
        buyer,
        params,
        offer,
        base,
        floor,
        cap,
        max_valid_ms,
    } = request;
    let request = PriceRequest {
        now,
        market,
        action,
        buyer,
        params: P::Params::from_json(&params)?,
        offer,
        base,
        floor,
        cap,
        max_valid_ms,
    };
    P::quote(&request, host)
}

/// Asks whether an offer may be placed, with parameters that are still JSON.
///
/// # Errors
///
/// [`Refusal`] with the code `bad_params`, or the policy's own.
pub fn admit<P: Offers>(request: AdmitRequest<String>, host: &impl Host) -> Result<(), Refusal> {
    let AdmitRequest {
        now,
        market,
        action,
        buyer,
        params,
        offer,
    } = request;
    let request = AdmitRequest {
        now,
        market,
        action,
        buyer,
        params: P::Params::from_json(&params)?,
        offer,
    };
    P::admit(&request, host)
}

/// Asks which offers a buyer may see, with parameters that are still JSON.
///
/// # Errors
///
/// [`Refusal`] with the code `bad_params`. A filter has no way to refuse, so a component fails on them instead, and no
/// offer is seen.
pub fn filter<P: Offers>(
    request: FilterRequest<String>,
    offers: &Batch<'_>,
    host: &impl Host,
) -> Result<Verdict, Refusal> {
    let FilterRequest {
        now,
        market,
        action,
        buyer,
        params,
    } = request;
    let request = FilterRequest {
        now,
        market,
        action,
        buyer,
        params: P::Params::from_json(&params)?,
    };
    Ok(P::filter(&request, offers, host))
}

/// Asks whether two parties may deal, with parameters that are still JSON.
///
/// # Errors
///
/// [`Refusal`] with the code `bad_params`, or the policy's own.
pub fn authorize<P: Consent>(request: ConsentRequest<String>, host: &impl Host) -> Result<(), Refusal> {
    let ConsentRequest {
        now,
        market,
        action,
        buyer,
        params,
        offer,
        buyer_grants,
        seller_grants,
    } = request;
    let request = ConsentRequest {
        now,
        market,
        action,
        buyer,
        params: P::Params::from_json(&params)?,
        offer,
        buyer_grants,
        seller_grants,
    };
    P::authorize(&request, host)
}
