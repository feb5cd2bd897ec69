//! Who calls. Source: AWS Security Token Service API reference, `GetCallerIdentity`, `GetAccessKeyInfo`.

use crate::shapes::{
    GetAccessKeyInfoRequest, GetAccessKeyInfoResponse, GetCallerIdentityRequest, GetCallerIdentityResponse,
};
use zonal_cloud::{Caller, View};
use zonal_wire::AwsError;

/// `GetCallerIdentity`: the root user, whose id is the account's.
pub fn caller(view: &View<'_>, _: &GetCallerIdentityRequest) -> Result<GetCallerIdentityResponse, AwsError> {
    let account = view.scope.account.to_string();
    Ok(GetCallerIdentityResponse {
        arn: Some(format!("arn:aws:iam::{account}:root")),
        user_id: Some(account.clone()),
        account: Some(account),
    })
}

/// `GetAccessKeyInfo`: the account that a key names.
pub fn account_of_key(_: &View<'_>, input: &GetAccessKeyInfoRequest) -> Result<GetAccessKeyInfoResponse, AwsError> {
    let key = &input.access_key_id;
    if !(16..=128).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(AwsError::client("ValidationError", format!("The access key id '{key}' is not valid")));
    }
    Ok(GetAccessKeyInfoResponse { account: Some(Caller::account_of(key).to_owned()) })
}
