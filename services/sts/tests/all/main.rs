//! Who callers are, as they see it.

mod faults;

use std::time::Duration;
use zonal_cloud::{Caller, Scope};
use zonal_sts::Sts;
use zonal_sts::shapes::*;
use zonal_testbed::{START, Testbed};
use zonal_wire::{AwsError, Operation};

fn call<O: Operation>(access_key: &str, input: O::Input) -> Result<O::Output, AwsError> {
    let mut bed = Testbed::new(vec![Box::new(Sts)]);
    bed.scope = Scope::new(Caller::account_of(access_key), "us-east-1");
    bed.call_as::<O>("sts", Caller::User { access_key: access_key.into() }, input)
}

#[test]
fn a_caller_is_the_root_user_of_the_account_that_the_key_names() {
    for (key, account) in [("123456789012", "123456789012"), ("AKIAIOSFODNN7EXAMPLE", "000000000000")] {
        let identity = call::<ops::GetCallerIdentity>(key, Default::default()).unwrap();
        assert_eq!(identity.arn, Some(format!("arn:aws:iam::{account}:root")));
        assert_eq!((identity.user_id.as_deref(), identity.account.as_deref()), (Some(account), Some(account)));
    }
}

#[test]
fn a_session_key_names_its_callers_account() {
    for key in ["test", "123456789012"] {
        let made = call::<ops::GetSessionToken>(key, Default::default()).unwrap().credentials.unwrap();
        assert!(made.access_key_id.starts_with("ASIA") && made.access_key_id.len() == 20, "{made:?}");
        assert_eq!(Caller::account_of(&made.access_key_id), Caller::account_of(key));
        assert_eq!(made.expiration, START + Duration::from_secs(3600));
        let input = GetAccessKeyInfoRequest { access_key_id: made.access_key_id };
        let account = call::<ops::GetAccessKeyInfo>(key, input).unwrap().account;
        assert_eq!(account.as_deref(), Some(Caller::account_of(key)));
    }
}

#[test]
fn roles_cannot_be_assumed_as_there_are_none() {
    let error = call::<ops::AssumeRole>("test", Default::default()).unwrap_err();
    assert_eq!(error.code, "InvalidAction");
}
