//! `[tls.NAME.client_auth]` and `[auth.mtls]`: every setting has an effect, and every mistake a report.
//! Next: `values`.

use super::*;

/// A good file whose one network listener wants certificates.
fn text() -> String {
    GOOD.replace("auth = [\"api_key\"]", "auth = [\"api_key\", \"mtls\"]").replace(
        "[tls.public]",
        "[tls.public.client_auth]\nmode = \"required\"\nca_file = \"clients-ca.crt\"\n\
         [tls.public.client_auth.crl]\nfiles = [\"crl/*.crl\"]\n\
         [tls.public.client_auth.ocsp]\nenabled = true\n\
         [[auth.mtls.roles_from]]\nname = \"*.example.com\"\nroles = [\"agent\"]\n[tls.public]",
    )
}

#[test]
fn every_setting_has_an_effect() {
    let load = |set: &[&str]| {
        let loaded = load_text(&text(), set).unwrap_or_else(|found| panic!("{set:?}: {found}"));
        format!("{:?}", loaded.config)
    };
    let before = load(&[]);
    for set in [
        "mode=optional",
        "ca_file=other.crt",
        "identity_from=[\"cn\"]",
        "allowed_names=[\"*.example.com\"]",
        "required_eku=[]",
        "required_eku=[\"1.2.3\"]",
        "max_client_certificate_age=9d",
        "min_rsa_bits=3072",
        "crl.files=[\"other.crl\"]",
        "crl.urls=[\"http://ca.example.com/clients.crl\"]",
        "crl.refresh=9s",
        "crl.depth=leaf",
        "crl.unknown=allow",
        "crl.expired=allow",
        "ocsp.enabled=false",
        "ocsp.responder=http://ca.example.com/ocsp",
        "ocsp.cache_ttl=9s",
        "ocsp.on_failure=allow",
    ] {
        assert_ne!(load(&[&format!("tls.public.client_auth.{set}")]), before, "{set}");
    }
    assert_ne!(load(&["auth.mtls.roles_from=[]"]), before);
}

#[test]
fn every_mistake_has_a_report() {
    for (set, code) in [
        ("tls.public.client_auth.mode=off", "E0218"),
        ("tls.public.client_auth.allowed_names=[\"a*.example.com\"]", "E0210"),
        ("tls.public.client_auth.allowed_names=[\"*\"]", "E0210"),
        ("tls.public.client_auth.required_eku=[\"clientauth\"]", "E0106"),
        ("tls.public.client_auth.crl.files=[]", "E0105"),
        ("tls.public.client_auth.crl.urls=[\"ca.example.com\"]", "E0106"),
        ("tls.public.client_auth.crl.unknown=allow", "W0218"),
        ("tls.public.client_auth.crl.expired=allow", "W0218"),
        ("tls.public.client_auth.ocsp.on_failure=allow", "W0218"),
        ("tls.public.client_auth.ocsp.responder=nobody", "E0106"),
        ("auth.mtls.roles_from=[{ name = \"*.example.com\", roles = [\"agnet\"] }]", "E0204"),
        ("auth.mtls.roles_from=[{ name = \"**\", roles = [\"agent\"] }]", "E0210"),
        ("auth.mtls.roles_from=[{ roles = [\"agent\"] }]", "E0105"),
    ] {
        let found = problems(&text(), &[set]);
        assert!(found.iter().any(|problem| problem.code() == code), "{set}: {found}");
    }
    let issuer = "[auth.jwt.cert]\nissuer = \"https://a.example.com\"\njwks_file = \"jwks.json\"\n[native]";
    let reserved = problems(&text().replace("[native]", issuer), &[]);
    assert!(reserved.iter().any(|problem| problem.code() == "E0209"), "{reserved}");
    let missing = problems(&text().replace("ca_file = \"clients-ca.crt\"\n", ""), &[]);
    assert!(missing.iter().any(|problem| problem.code() == "E0105"), "{missing}");
}

#[test]
fn two_authorities_that_clients_may_come_from_are_warned_of() {
    let second = |ca_file: &str, auth: &str| {
        text()
            + &format!(
                "\n[listeners.partners]\nkind = \"tcp\"\naddress = \"127.0.0.1:9001\"\ntls = \"partners\"\nauth = [\"{auth}\"]\n\
                 [tls.partners]\ncertificates = [{{ cert_file = \"a\", key_file = \"b\" }}]\n\
                 [tls.partners.client_auth]\nmode = \"required\"\nca_file = \"{ca_file}\"\n"
            )
    };
    for (ca_file, auth, is_warned) in [
        ("partners.crt", "mtls", true),
        ("clients-ca.crt", "mtls", false),
        ("partners.crt", "api_key", false),
    ] {
        let found = match load_text(&second(ca_file, auth), &[]) {
            Ok(loaded) => loaded.warnings.iter().map(|problem| problem.code().to_owned()).collect::<Vec<_>>(),
            Err(found) => panic!("{ca_file} {auth}: {found}"),
        };
        assert_eq!(found.iter().any(|code| code == "W0220"), is_warned, "{ca_file} {auth}: {found:?}");
    }
}
