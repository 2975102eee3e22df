// Package tlsdir reads key, certificate and CAs of $NOCREDS_TLS_DIR, and reads them again after each renewal.
package tlsdir

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Generation is what was in the folder at one moment.
type Generation struct {
	Pair tls.Certificate
	CAs  *x509.CertPool
	path string
}

// Dir is safe for many goroutines.
type Dir struct {
	path    string
	mutex   sync.Mutex
	current *Generation
}

// New is for a folder such as $NOCREDS_TLS_DIR.
func New(path string) *Dir { return &Dir{path: path} }

// Current returns the current generation: the same pointer until there is a new one. What cannot be read
// leaves the one before in place.
func (d *Dir) Current() (*Generation, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	// Resolved once, so that key and certificate are of one pair whatever happens meanwhile.
	path, err := filepath.EvalSymlinks(filepath.Join(d.path, "..data"))
	if err == nil && (d.current == nil || d.current.path != path) {
		var fresh *Generation
		if fresh, err = read(path); err == nil {
			d.current = fresh
		}
	}
	if d.current == nil {
		return nil, err
	}
	return d.current, nil
}

// IDOf is the SPIFFE id of a certificate, its one URI; empty if it has none or several.
func IDOf(certificate *x509.Certificate) string {
	if len(certificate.URIs) != 1 {
		return ""
	}
	return certificate.URIs[0].String()
}

func read(path string) (*Generation, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(path, "tls.crt"), filepath.Join(path, "tls.key"))
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(filepath.Join(path, "ca.crt"))
	if err != nil {
		return nil, err
	}
	cas := x509.NewCertPool()
	if !cas.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s/ca.crt", path)
	}
	return &Generation{Pair: pair, CAs: cas, path: path}, nil
}
