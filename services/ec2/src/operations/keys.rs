//! Key pairs.

use super::{Answer, Selection, filters, json, key_material, one, putty, specified, tag_list, text};
use crate::errors::Error;
use crate::model::KeyPair;
use crate::shapes::{self, *};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};

fn check_name(name: &str) -> Result<(), Error> {
    if !name.is_ascii() || name.len() > 255 {
        let text = format!("Value ({name}) for parameter KeyName is invalid. It is up to 255 ASCII characters.");
        return Err(Error::InvalidParameterValue(text));
    }
    Ok(())
}

fn refuse_duplicate(tx: &Tx<'_>, name: &str) -> Result<(), Error> {
    if tx.get::<KeyPair>(name).is_some() {
        return Err(Error::Coded("InvalidKeyPair.Duplicate", format!("The keypair already exists: {name}")));
    }
    Ok(())
}

/// The pair of that name.
pub(crate) fn pair<'a>(view: &View<'a>, name: &str) -> Result<&'a KeyPair, Error> {
    let unknown = || Error::Coded("InvalidKeyPair.NotFound", format!("The key pair '{name}' does not exist"));
    view.get::<KeyPair>(name).ok_or_else(unknown)
}

pub fn import(tx: &mut Tx<'_>, input: &ImportKeyPairRequest) -> Answer<ImportKeyPairResult> {
    check_name(&input.key_name)?;
    refuse_duplicate(tx, &input.key_name)?;
    let invalid = || Error::Coded("InvalidKey.Format", "Key is not in valid OpenSSH public key format".to_owned());
    let material = std::str::from_utf8(&input.public_key_material.0).map_err(|_| invalid())?.trim();
    let mut parts = material.split_ascii_whitespace();
    let (Some(algorithm), Some(encoded)) = (parts.next(), parts.next()) else { return Err(invalid().into()) };
    let kind = match algorithm {
        "ssh-rsa" => "rsa",
        "ssh-ed25519" => "ed25519",
        _ => return Err(invalid().into()),
    };
    let blob = STANDARD.decode(encoded).map_err(|_| invalid())?;
    // The blob begins with the algorithm's name, its length before it.
    let named = blob.get(4..4 + algorithm.len()) == Some(algorithm.as_bytes());
    if !named {
        return Err(invalid().into());
    }
    let tags = specified(tx, &input.tag_specifications, "key-pair", &["key-pair"])?;
    let public_key = format!("{algorithm} {encoded} {}", input.key_name);
    let fingerprint = match kind {
        "rsa" => key_material::imported_rsa(&blob).ok_or_else(invalid)?,
        _ => key_material::sha256(&blob),
    };
    let pair = put(tx, &input.key_name, kind, fingerprint, public_key, tags);
    Ok(ImportKeyPairResult {
        key_name: text(&pair.name),
        key_pair_id: text(&pair.id),
        key_fingerprint: text(&pair.fingerprint),
        tags: tag_list(&pair.tags),
        ..Default::default()
    })
}

/// CreateKeyPair. The private half is in the answer, and nowhere else.
pub fn create(tx: &mut Tx<'_>, input: &CreateKeyPairRequest) -> Answer<shapes::KeyPair> {
    check_name(&input.key_name)?;
    refuse_duplicate(tx, &input.key_name)?;
    let tags = specified(tx, &input.tag_specifications, "key-pair", &["key-pair"])?;
    let (kind, algorithm, made) = match &input.key_type {
        Some(KeyType::Ed25519) => {
            let made = key_material::ed25519(tx.chance(), &input.key_name);
            ("ed25519", "ssh-ed25519", made.map_err(|text| Error::Coded("InternalError", text))?)
        }
        _ => ("rsa", "ssh-rsa", key_material::rsa(tx.chance())),
    };
    let public_key = format!("{algorithm} {} {}", STANDARD.encode(&made.blob), input.key_name);
    let private = match &input.key_format {
        Some(KeyFormat::Ppk) => putty::file(algorithm, &input.key_name, &made.blob, &made.putty),
        _ => made.pem,
    };
    let pair = put(tx, &input.key_name, kind, made.fingerprint, public_key, tags);
    Ok(shapes::KeyPair {
        key_name: text(&pair.name),
        key_pair_id: text(&pair.id),
        key_fingerprint: text(&pair.fingerprint),
        key_material: text(&private),
        tags: tag_list(&pair.tags),
        ..Default::default()
    })
}

fn put(tx: &mut Tx<'_>, name: &str, kind: &str, fingerprint: String, public_key: String, tags: Tags) -> KeyPair {
    let pair = KeyPair {
        name: name.to_owned(),
        id: tx.id("key-"),
        fingerprint,
        kind: kind.to_owned(),
        public_key,
        created: tx.now,
        tags,
    };
    tx.put(pair.clone());
    pair
}

pub fn describe(view: &View<'_>, input: &DescribeKeyPairsRequest) -> Answer<DescribeKeyPairsResult> {
    for name in &input.key_names {
        pair(view, name)?;
    }
    let wanted = |pair: &KeyPair| input.key_names.is_empty() || input.key_names.contains(&pair.name);
    let selection = Selection {
        ids: &input.key_pair_ids,
        filters: &input.filters,
        names: filters::KEY_PAIRS,
        token: None,
        limit: None,
        unknown: ("InvalidKeyPair.NotFound", "key pair"),
    };
    let (pairs, _) = selection.of(
        view.list::<KeyPair>().filter(|pair| wanted(pair)),
        |pair| &pair.id,
        |pair| &pair.tags,
        |pair, name| match name {
            "key-name" => one(&pair.name),
            "key-pair-id" => one(&pair.id),
            "fingerprint" => one(&pair.fingerprint),
            _ => None,
        },
        |pair| json(&shape(pair)),
    )?;
    let key_pairs = pairs.into_iter().map(|pair| KeyPairInfo {
        public_key: (input.include_public_key == Some(true)).then(|| pair.public_key.clone()),
        ..shape(pair)
    });
    Ok(DescribeKeyPairsResult { key_pairs: key_pairs.collect(), ..Default::default() })
}

fn shape(pair: &KeyPair) -> KeyPairInfo {
    KeyPairInfo {
        key_name: text(&pair.name),
        key_pair_id: text(&pair.id),
        key_fingerprint: text(&pair.fingerprint),
        key_type: pair.kind.parse().ok(),
        create_time: Some(pair.created),
        tags: tag_list(&pair.tags),
        ..Default::default()
    }
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteKeyPairRequest) -> Answer<DeleteKeyPairResult> {
    // Deleting what is not there succeeds, as on AWS.
    let own = tx
        .list::<KeyPair>()
        .find(|pair| input.key_pair_id.as_ref() == Some(&pair.id) || input.key_name.as_ref() == Some(&pair.name))
        .map(|pair| (pair.name.clone(), pair.id.clone()));
    if let Some((name, _)) = &own {
        tx.remove::<KeyPair>(name);
    }
    let key_pair_id = own.map(|(_, id)| id);
    Ok(DeleteKeyPairResult { return_: Some(true), key_pair_id, ..shapes::DeleteKeyPairResult::default() })
}
