//! The TLS certificates of one installation: an authority of its own, the server's certificate, and the one the
//! network's side (replayer, curl) shows. Made once per installation; the authority's key is not kept.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use thiserror::Error;

use crate::layout::{Layout, LayoutFault, write_file, write_secret};

/// Common name of the one client that is allowed in.
pub const NETWORK_CLIENT: &str = "clearing-network";
const YEARS_VALID: i32 = 10;

#[derive(Debug, Error)]
pub enum CertificateFault {
    #[error("the certificate of {0} cannot be made")]
    Make(&'static str, #[source] rcgen::Error),
    #[error(transparent)]
    Write(#[from] LayoutFault),
}

/// A certificate and its private key, both PEM.
#[derive(Debug)]
pub struct Pair {
    pub certificate: String,
    private_key: String,
}

/// Issues certificates for as long as it lives.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    years: (i32, i32),
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    pub fn new(now: Timestamp) -> Result<Self, CertificateFault> {
        let fault = |source| CertificateFault::Make("the authority", source);
        let year = i32::from(now.to_zoned(TimeZone::UTC).year());
        let years = (year - 1, year + YEARS_VALID);
        let mut params = params("local test authority", years, &[]).map_err(fault)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(fault)?;
        let certificate = params.self_signed(&key).map_err(fault)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self {
            issuer,
            certificate,
            years,
        })
    }

    pub fn server(&self) -> Result<Pair, CertificateFault> {
        self.issue(
            "frontend",
            ExtendedKeyUsagePurpose::ServerAuth,
            &["localhost", "127.0.0.1"],
        )
    }

    pub fn client(&self, name: &'static str) -> Result<Pair, CertificateFault> {
        self.issue(name, ExtendedKeyUsagePurpose::ClientAuth, &[])
    }

    fn issue(
        &self,
        name: &'static str,
        purpose: ExtendedKeyUsagePurpose,
        hosts: &[&str],
    ) -> Result<Pair, CertificateFault> {
        let fault = |source| CertificateFault::Make(name, source);
        let mut params = params(name, self.years, hosts).map_err(fault)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().map_err(fault)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(fault)?;
        Ok(Pair {
            certificate: certificate.pem(),
            private_key: key.serialize_pem(),
        })
    }
}

fn params(name: &str, years: (i32, i32), hosts: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    Ok(params)
}

impl Pair {
    pub fn write(&self, layout: &Layout, name: &str) -> Result<(), LayoutFault> {
        write_file(&layout.tls(&format!("{name}.cert.pem")), &self.certificate)?;
        write_secret(&layout.tls(&format!("{name}.key.pem")), self.private_key.as_bytes())
    }
}

/// Makes the three certificates, unless the installation has them already.
pub fn prepare(layout: &Layout, now: Timestamp) -> Result<(), CertificateFault> {
    let authority_file = layout.tls("ca.cert.pem");
    if authority_file.exists() {
        return Ok(());
    }
    let authority = Authority::new(now)?;
    authority.server()?.write(layout, "server")?;
    authority.client(NETWORK_CLIENT)?.write(layout, "client")?;
    // of another name: what it shows must be refused although the authority is the right one
    authority.client("stranger")?.write(layout, "stranger")?;
    // last, so that a set that was cut short is made again
    write_file(&authority_file, &authority.certificate)?;
    Ok(())
}
