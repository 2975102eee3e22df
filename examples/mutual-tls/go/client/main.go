// Calls SERVER, if it is the workload SERVER_ID, each EVERY_MS, and prints what it says.
package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"nocreds.dev/examples/mutual-tls/tlsdir"
)

// client makes its connections with one generation of the certificate.
type client struct {
	http.Client
	generation *tlsdir.Generation
}

// renewed is the client itself, or one of the present generation.
func (c *client) renewed(dir *tlsdir.Dir, serverID string) (*client, error) {
	now, err := dir.Current()
	if err != nil || now == c.generation {
		return c, err
	}
	c.CloseIdleConnections() // calls under way continue
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{now.Pair},
		RootCAs:      now.CAs,
		// Besides the name: each workload of team-a may have that one.
		VerifyConnection: func(peer tls.ConnectionState) error {
			if id := tlsdir.IDOf(peer.PeerCertificates[0]); id != serverID {
				return fmt.Errorf("the certificate is of %q, not of %q", id, serverID)
			}
			return nil
		},
	}
	transport := &http.Transport{TLSClientConfig: config, IdleConnTimeout: time.Minute}
	return &client{http.Client{Transport: transport, Timeout: 10 * time.Second}, now}, nil
}

func (c *client) call(url string) (string, error) {
	response, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprint(response.StatusCode, " ", strings.TrimSpace(string(body))), err
}

func main() {
	dir := tlsdir.New(os.Getenv("NOCREDS_TLS_DIR"))
	url := cmp.Or(os.Getenv("SERVER"), "https://server.team-a.svc")
	serverID := cmp.Or(os.Getenv("SERVER_ID"), "spiffe://cluster.local/ns/team-a/sa/server")
	every, err := strconv.Atoi(cmp.Or(os.Getenv("EVERY_MS"), "1000"))
	if err != nil {
		panic(err)
	}
	caller := &client{}
	for ; ; time.Sleep(time.Duration(every) * time.Millisecond) {
		said := ""
		if caller, err = caller.renewed(dir, serverID); err == nil {
			said, err = caller.call(url)
		}
		if err != nil {
			said = "failed: " + err.Error()
		}
		fmt.Println(said)
	}
}
