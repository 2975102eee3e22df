// Verifies a certificate chain by Go's crypto/x509 as both sides of TLS do, and prints its URI and DNS names.
//
// usage: chain tls.crt ca.crt
package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log"
	"os"
	"strings"
)

func certificates(file string) []*x509.Certificate {
	rest, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			log.Fatal(err)
		}
		all = append(all, certificate)
	}
	return all
}

func pool(all []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, certificate := range all {
		pool.AddCert(certificate)
	}
	return pool
}

func main() {
	chain, roots := certificates(os.Args[1]), pool(certificates(os.Args[2]))
	leaf := chain[0]
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots:         roots,
			Intermediates: pool(chain[1:]),
			KeyUsages:     []x509.ExtKeyUsage{usage},
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	if leaf.IsCA || len(leaf.URIs) != 1 {
		log.Fatalf("a CA: %v; URIs: %v", leaf.IsCA, leaf.URIs)
	}
	fmt.Println(leaf.URIs[0])
	fmt.Println(strings.Join(leaf.DNSNames, ","))
}
