//! Zonal's own certificate authority, one per world: what makes AWS's names speak TLS inside. Its key never leaves the world's directory
//! and its certificate is trusted by instances only, so that it can vouch for any name without being a danger to the machine.

use crate::error::{Act, Error, Result};
use crate::world::Config;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The name that OpenSSL looks this authority up by in a directory of certificates: a hash of its distinguished name, which is the same
/// in every world.
pub(crate) const HASHED_NAME: &str = "84243765.0";
/// How many certificates are kept; with more names than these asked for, all are made anew.
const MOST_CERTIFICATES: usize = 256;
/// Serial numbers' length, bytes.
const SERIAL: usize = 16;

/// The authority's certificate.
pub(crate) fn certificate(config: &Config) -> PathBuf {
    config.directory.join("ca").join("certificate.pem")
}

fn key(config: &Config) -> PathBuf {
    config.directory.join("ca").join("key.pem")
}

/// Makes the authority of a world unless it has one. The key is the owner's alone.
///
/// # Errors
/// When it can't be written.
pub(crate) fn make(config: &Config) -> Result<()> {
    if certificate(config).exists() {
        return Ok(());
    }
    let directory = config.directory.join("ca");
    fs::create_dir_all(&directory).act("make", directory.display())?;
    let made = generate().map_err(|e| Error::Refused(format!("a certificate authority: {e}")))?;
    // The certificate last: where it is, the key is.
    for (path, text, mode) in [(key(config), made.0, 0o600), (certificate(config), made.1, 0o644)] {
        let pending = path.with_extension("new");
        fs::write(&pending, "").act("write", pending.display())?;
        fs::set_permissions(&pending, Permissions::from_mode(mode)).act("set mode of", pending.display())?;
        fs::write(&pending, text).act("write", pending.display())?;
        chown(&pending, Some(config.owner.0), Some(config.owner.1)).act("give away", pending.display())?;
        fs::rename(&pending, &path).act("rename", path.display())?;
    }
    Ok(())
}

/// A new key and its certificate, both as PEM.
fn generate() -> std::result::Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = authority().self_signed(&key)?;
    Ok((key.serialize_pem(), certificate.pem()))
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Zonal");
    params.distinguished_name.push(DnType::CommonName, "Zonal, a world's own authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params
}

/// A certificate that was asked for: it, the authority's own, and its private key, all as PEM.
pub(crate) struct Issued {
    pub certificate: String,
    pub chain: String,
    pub private_key: String,
}

/// Signs a certificate of these names for these days since 1970, with a key of its own.
///
/// # Errors
/// When the authority can't be read, or a name is none.
pub(crate) fn issue(config: &Config, names: Vec<String>, days: (i64, i64)) -> Result<Issued> {
    let refused = |e: rcgen::Error| Error::Refused(format!("a certificate: {e}"));
    let text = |path: PathBuf| fs::read_to_string(&path).act("read", path.display());
    let issuer = Issuer::new(authority(), KeyPair::from_pem(&text(key(config))?).map_err(refused)?);
    let own = KeyPair::generate().map_err(refused)?;
    let mut params = CertificateParams::new(names.clone()).map_err(refused)?;
    params.distinguished_name = DistinguishedName::new();
    // A common name has at most 64 characters.
    if let Some(name) = names.first().filter(|name| name.len() <= 64) {
        params.distinguished_name.push(DnType::CommonName, name.as_str());
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial().act("read", "/dev/urandom")?.into());
    let span = |days: i64| Duration::from_secs(days.unsigned_abs() * 86_400);
    (params.not_before, params.not_after) = (date_time_ymd(1970, 1, 1), date_time_ymd(1970, 1, 1));
    // Who checks it goes by the kernel's clock, and a world's may be ahead of that.
    let today = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    params.not_before += span(days.0.min(today.try_into().unwrap_or(i64::MAX)));
    params.not_after += span(days.1);
    let certificate = params.signed_by(&own, &issuer).map_err(refused)?;
    let chain = text(self::certificate(config))?;
    Ok(Issued { certificate: certificate.pem(), chain, private_key: own.serialize_pem() })
}

/// The certificates of AWS's names, each made when it is first asked for.
pub(crate) struct Names {
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
    made: Mutex<BTreeMap<String, Arc<CertifiedKey>>>,
}

impl Names {
    /// Reads the world's authority.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        let path = key(config);
        let text = fs::read_to_string(&path).act("read", path.display())?;
        let damaged = |e: rcgen::Error| Error::Refused(format!("{}: {e}", path.display()));
        let issuer = Issuer::new(authority(), KeyPair::from_pem(&text).map_err(damaged)?);
        Ok(Self { issuer, key: KeyPair::generate().map_err(damaged)?, made: Mutex::new(BTreeMap::new()) })
    }

    /// The certificate of a name.
    fn of(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = made.get(name) {
            return Some(Arc::clone(found));
        }
        if made.len() >= MOST_CERTIFICATES {
            made.clear();
        }
        let certified = Arc::new(self.issue(name).inspect_err(|error| tracing::warn!(name, error)).ok()?);
        made.insert(name.to_owned(), Arc::clone(&certified));
        Some(certified)
    }

    fn issue(&self, name: &str) -> std::result::Result<CertifiedKey, String> {
        let mut params = CertificateParams::new([name.to_owned()]).map_err(|e| e.to_string())?;
        params.distinguished_name = DistinguishedName::new();
        // A common name has at most 64 characters; the name that counts is the alternative one.
        params.distinguished_name.push(DnType::OrganizationName, "Zonal");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial().map_err(|e| e.to_string())?.into());
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2049, 12, 31);
        let certificate = params.signed_by(&self.key, &self.issuer).map_err(|e| e.to_string())?;
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let key = any_supported_type(&key).map_err(|e| e.to_string())?;
        Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
    }
}

fn serial() -> std::io::Result<Vec<u8>> {
    let mut number = vec![0; SERIAL];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut number)?;
    // Positive, as a serial number must be.
    number[0] &= 0x7f;
    number[0] |= 0x40;
    Ok(number)
}

/// Whether a name is one that AWS's services are called by.
pub(crate) fn is_service(name: &str) -> bool {
    [".amazonaws.com", ".api.aws"].iter().any(|domain| name.strip_suffix(domain).is_some_and(|rest| !rest.is_empty()))
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names")
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        if is_service(&name) { self.of(&name) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn world() -> Config {
        let directory = std::env::temp_dir().join(format!("zonal-ca-{}", std::process::id()));
        let config = Config::new(directory, (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw()));
        make(&config).unwrap();
        config
    }

    fn openssl(arguments: &[&str]) -> String {
        let done = Command::new("openssl").args(arguments).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
    }

    #[test]
    fn openssl_trusts_what_the_authority_vouches_for_and_finds_it_by_its_hash() {
        let config = world();
        let authority = certificate(&config);
        let authority = authority.to_str().unwrap();
        assert_eq!(format!("{}.0", openssl(&["x509", "-hash", "-noout", "-in", authority]).trim()), HASHED_NAME);
        let names = Names::open(&config).unwrap();
        let name = "a-bucket-with-a-name-as-long-as-they-may-be-which-is-sixty-three.s3.us-east-1.amazonaws.com";
        let certified = names.of(name).unwrap();
        assert!(Arc::ptr_eq(&certified, &names.of(name).unwrap()), "it is made once");
        let leaf = config.directory.join("leaf.der");
        fs::write(&leaf, &certified.cert[0]).unwrap();
        let leaf = leaf.to_str().unwrap();
        let verified = openssl(&["verify", "-x509_strict", "-verify_hostname", name, "-CAfile", authority, leaf]);
        assert!(verified.ends_with(": OK\n"), "{verified}");
        assert_eq!(fs::metadata(key(&config)).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(&config.directory).unwrap();
    }

    #[test]
    fn only_awss_names_have_certificates() {
        for (name, service) in [
            ("sts.us-east-1.amazonaws.com", true),
            ("ec2.us-east-1.api.aws", true),
            ("amazonaws.com", false),
            ("evilamazonaws.com", false),
            ("deb.debian.org", false),
        ] {
            assert_eq!(is_service(name), service, "{name}");
        }
    }
}
