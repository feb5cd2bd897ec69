//! What the plane reports, and how it gets to the daemons that listen.
//!
//! They hear through a queue of bounded length. Whoever reports much at once (a recital is as long as there are targets) is held back
//! until they have heard, so that one who listens misses nothing; one who does not is not waited for, and is told all anew afterwards.

use super::protocol::Hear;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;

/// How many reports may wait to be heard. Their places are made at once, but they hold pointers.
const LONGEST: usize = 4096;
/// For so long one who has heard nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where reports go.
#[derive(Clone)]
pub(super) struct Reports {
    new: mpsc::UnboundedSender<Hear>,
    told: broadcast::Sender<Arc<Hear>>,
}

impl Reports {
    /// To be made on a runtime.
    pub(super) fn new() -> Self {
        let ((new, waiting), (told, _)) = (mpsc::unbounded_channel(), broadcast::channel(LONGEST));
        tokio::spawn(pass_on(waiting, told.clone()));
        Self { new, told }
    }

    pub(super) fn send(&self, report: Hear) {
        // Who passes them on ends with the plane.
        let _ = self.new.send(report);
    }

    /// Everything that is reported from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Hear>> {
        self.told.subscribe()
    }
}

async fn pass_on(mut waiting: mpsc::UnboundedReceiver<Hear>, told: broadcast::Sender<Arc<Hear>>) {
    let mut is_deaf = false;
    while let Some(report) = waiting.recv().await {
        let deadline = Instant::now() + PATIENCE;
        while !is_deaf && told.len() >= LONGEST / 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            is_deaf = Instant::now() >= deadline;
        }
        is_deaf &= told.len() >= LONGEST / 2;
        // Nobody may be there to hear it: what is so is recited to who comes.
        let _ = told.send(Arc::new(report));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast::error::RecvError;

    fn failed(number: usize) -> Hear {
        Hear::Failed { key: number.to_string(), reason: String::new() }
    }

    #[tokio::test]
    async fn who_listens_misses_nothing_of_a_recital_longer_than_the_queue() {
        let reports = Reports::new();
        let mut listener = reports.subscribe();
        (0..LONGEST * 3).for_each(|number| reports.send(failed(number)));
        for number in 0..LONGEST * 3 {
            let heard = tokio::time::timeout(PATIENCE * 10, listener.recv())
                .await
                .expect("in time")
                .expect("nothing is missed");
            assert!(matches!(&*heard, Hear::Failed { key, .. } if *key == number.to_string()), "{heard:?}");
        }
    }

    #[tokio::test]
    async fn who_does_not_listen_holds_up_nobody_and_learns_that_they_missed_something() {
        let reports = Reports::new();
        let (mut deaf, mut listener) = (reports.subscribe(), reports.subscribe());
        (0..LONGEST * 2).for_each(|number| reports.send(failed(number)));
        for _ in 0..LONGEST * 2 {
            tokio::time::timeout(PATIENCE * 10, listener.recv()).await.expect("in time").expect("nothing is missed");
        }
        assert!(matches!(deaf.recv().await, Err(RecvError::Lagged(_))));
    }
}
