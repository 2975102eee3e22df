// Answers the workloads that ALLOWED names: SPIFFE ids, separated by commas.
package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"nocreds.dev/examples/mutual-tls/tlsdir"
)

func main() {
	dir := tlsdir.New(os.Getenv("NOCREDS_TLS_DIR"))
	allowed := strings.Split(os.Getenv("ALLOWED"), ",")

	// Asked for each new connection; those that are open stay.
	config := func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now, err := dir.Current()
		if err != nil {
			return nil, err
		}
		return &tls.Config{
			MinVersion:             tls.VersionTLS12,
			Certificates:           []tls.Certificate{now.Pair},
			ClientAuth:             tls.RequireAndVerifyClientCert,
			ClientCAs:              now.CAs,
			SessionTicketsDisabled: true, // each connection is checked again
			VerifyConnection: func(peer tls.ConnectionState) error {
				id := tlsdir.IDOf(peer.PeerCertificates[0])
				if id == "" || !slices.Contains(allowed, id) {
					return errors.New("this workload is not allowed")
				}
				return nil
			},
		}, nil
	}

	server := &http.Server{
		Addr:              ":" + cmp.Or(os.Getenv("PORT"), "8443"),
		Handler:           http.HandlerFunc(hello),
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: config},
		ReadHeaderTimeout: 10 * time.Second,
	}
	log.Fatal(server.ListenAndServeTLS("", ""))
}

func hello(w http.ResponseWriter, r *http.Request) {
	peer := r.TLS.PeerCertificates[0]
	fmt.Fprintf(w, "hello %s, certificate %X\n", tlsdir.IDOf(peer), peer.SerialNumber.Bytes())
}
