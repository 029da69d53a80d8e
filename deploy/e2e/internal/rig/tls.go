package rig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// Certificate is a certificate of a certificate authority that exists for one test.
type Certificate struct {
	Fullchain string         // PEM file, named as certbot names it
	Privkey   string         // PEM file
	Roots     *x509.CertPool // trusts the authority
}

// NewCertificate writes a certificate for the host name and 127.0.0.1 into dir, in the files that
// certbot would write.
func NewCertificate(tb testing.TB, dir, hostname string) Certificate {
	tb.Helper()
	check := func(err error) {
		if err != nil {
			tb.Fatalf("rig: make a certificate: %v", err)
		}
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "conforma-status tests"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: hostname},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{hostname}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	check(err)
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &leafKey.PublicKey, caKey)
	check(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	check(err)

	asPEM := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	c := Certificate{
		Fullchain: filepath.Join(dir, "fullchain.pem"),
		Privkey:   filepath.Join(dir, "privkey.pem"),
		Roots:     x509.NewCertPool(),
	}
	c.Roots.AppendCertsFromPEM([]byte(asPEM("CERTIFICATE", caDER)))
	WriteFile(tb, c.Fullchain, asPEM("CERTIFICATE", leafDER)+asPEM("CERTIFICATE", caDER))
	WriteSecret(tb, c.Privkey, asPEM("PRIVATE KEY", keyDER))
	return c
}
