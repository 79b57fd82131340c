//! certctl: a certificate authority for meshes of Envoy proxies.
