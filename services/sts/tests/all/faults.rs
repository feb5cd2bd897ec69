//! What the control plane does about a service that fails inside: here because this service is the smallest that there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use zonal_cloud::{Change, Controller, Entry, Record, Registrar, Scope, Service, Tx, View, Wake, read, write};
use zonal_sts::shapes::{self, ops};
use zonal_testbed::Testbed;
use zonal_wire::{Api, AwsError};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Mark(String);

impl Record for Mark {
    const TABLE: &'static str = "faulty.mark";

    fn key(&self) -> &str {
        &self.0
    }
}

/// A service whose every part panics, and one controller of which works.
struct Faulty(Arc<AtomicBool>);

impl Service for Faulty {
    fn name(&self) -> &'static str {
        "sts"
    }

    fn api(&self) -> &'static Api {
        &shapes::API
    }

    fn operations(&self) -> Vec<Entry> {
        vec![
            read::<ops::GetCallerIdentity>(|_, _| panic!("on purpose")),
            write::<ops::GetSessionToken>(|tx, _| {
                tx.put(Mark("half".into()));
                panic!("on purpose")
            }),
        ]
    }

    fn controllers(&self) -> Vec<Box<dyn Controller>> {
        vec![Box::new(Breaks), Box::new(Works(self.0.clone()))]
    }

    fn records(&self, registrar: &mut Registrar) {
        registrar.record::<Mark>();
    }
}

struct Breaks;

impl Controller for Breaks {
    fn name(&self) -> &'static str {
        "faulty.breaks"
    }

    fn wakes_on(&self, change: &Change, _: &View<'_>, _: &mut dyn FnMut(&Scope, &str)) {
        assert!(change.table != Mark::TABLE, "on purpose");
    }

    fn all(&self, _: &View<'_>, _: &mut dyn FnMut(&Scope, &str)) {
        panic!("on purpose");
    }

    fn reconcile(&self, _: &mut Tx<'_>, _: &str) -> Result<Wake, AwsError> {
        panic!("on purpose");
    }
}

struct Works(Arc<AtomicBool>);

impl Controller for Works {
    fn name(&self) -> &'static str {
        "faulty.works"
    }

    fn wakes_on(&self, change: &Change, _: &View<'_>, wake: &mut dyn FnMut(&Scope, &str)) {
        if change.table == Mark::TABLE {
            wake(&change.scope, &change.key);
        }
    }

    fn all(&self, _: &View<'_>, _: &mut dyn FnMut(&Scope, &str)) {}

    fn reconcile(&self, _: &mut Tx<'_>, _: &str) -> Result<Wake, AwsError> {
        self.0.store(true, Ordering::Relaxed);
        Ok(Wake::OnChange)
    }
}

#[test]
fn a_panic_ends_what_it_happened_in_and_nothing_else() {
    let worked = Arc::new(AtomicBool::new(false));
    let bed = Testbed::new(vec![Box::new(Faulty(worked.clone()))]);
    let marks = || bed.cloud.view(&bed.scope, |view| view.list::<Mark>().count());

    let written = bed.call::<ops::GetSessionToken>("sts", Default::default()).unwrap_err();
    assert_eq!((written.code.as_ref(), marks()), ("InternalFailure", 0), "what it wrote is undone");

    let put = bed.cloud.act(&bed.scope, "test", |tx| {
        tx.put(Mark("whole".into()));
        Ok(())
    });
    assert!(put.is_ok() && marks() == 1, "a change stands though a controller fails at it");
    bed.cloud.run_due();
    assert!(worked.load(Ordering::Relaxed), "the other controllers are woken");

    let read = bed.call::<ops::GetCallerIdentity>("sts", Default::default()).unwrap_err();
    assert_eq!(read.code, "InternalFailure");
}
