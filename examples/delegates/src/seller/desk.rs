//! The order of a seller's answers: questions wait in line, and the whole of one is done before the next.
//!
//! A market maker that got no answer asks again, and may do so while the first question is still worked on. Were the second
//! to overtake it, the seller would say that it stands elsewhere and then move on all the same.

use super::book::{Book, SellRefusal};
use super::request::{SellAnswer, SellRequest};
use super::{Sold, refusal};
use bourse_wamp::{CallResult, Value, WampError};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Questions that may wait. A market maker has one under way and asks twice more at most.
const LINE: usize = 64;

struct Question {
    request: SellRequest,
    answer: oneshot::Sender<Result<SellAnswer, SellRefusal>>,
}

/// Where the questions come in. It closes, with the task behind it, when nobody can ask any more.
pub(super) struct Desk {
    line: mpsc::Sender<Question>,
    sales: Option<mpsc::Sender<Sold>>,
}

impl Desk {
    /// Opens a desk over a book; `sales` hears of what was sold.
    pub(super) fn open(book: Arc<Mutex<Book>>, sales: Option<mpsc::Sender<Sold>>) -> Self {
        let (line, questions) = mpsc::channel(LINE);
        tokio::spawn(serve(book, questions));
        Self { line, sales }
    }

    /// Takes the next place in line, at once; the answer comes with the future, and is made whether or not that is awaited.
    pub(super) fn ask(
        &self,
        args: &[Value],
    ) -> impl Future<Output = Result<CallResult, WampError>> + Send + use<> {
        let waiting = SellRequest::read(args).and_then(|request| self.enqueue(request));
        let sales = self.sales.clone();
        async move {
            let lost = |_| refusal("wamp.error.runtime_error", "the sale failed".to_owned());
            let answer = waiting?.await.map_err(lost)?.map_err(|error| {
                tracing::warn!(%error, "refused to hand over a key");
                refusal(error.uri(), error.to_string())
            })?;
            if let Some(sales) = sales {
                // A slow listener must not slow down a sale.
                let _ = sales.try_send(answer.sold());
            }
            Ok(CallResult {
                args: vec![Value::Map(answer.to_dict())],
                kwargs: Default::default(),
            })
        }
    }

    fn enqueue(
        &self,
        request: SellRequest,
    ) -> Result<oneshot::Receiver<Result<SellAnswer, SellRefusal>>, WampError> {
        let (answer, waiting) = oneshot::channel();
        let question = Question { request, answer };
        self.line.try_send(question).map_err(|_| {
            let busy = SellRefusal::Busy { waiting: LINE };
            refusal(busy.uri(), busy.to_string())
        })?;
        Ok(waiting)
    }
}

/// Answers one after the other. Signatures cost some 200 µs, so they are not made on the threads that serve sockets.
async fn serve(book: Arc<Mutex<Book>>, mut questions: mpsc::Receiver<Question>) {
    while let Some(Question { request, answer }) = questions.recv().await {
        let book = Arc::clone(&book);
        let work = move || {
            // Whoever asked may be gone; what was decided stands.
            let _ = answer.send(book.lock().sell(&request));
        };
        if let Err(error) = tokio::task::spawn_blocking(work).await {
            tracing::error!(%error, "a sale failed");
        }
    }
}
