package vps

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"

	"sunspool/health"
	"sunspool/internal/paircode"
	"sunspool/vps/authority"
)

// selfSigned sees to the certificate of TLS_SELF, from then on that of the settings. It returns nil without TLS_SELF.
func (c *Config) selfSigned(log *slog.Logger) (*authority.Authority, error) {
	if !c.TLSSelf {
		return nil, nil
	}
	a, err := authority.Open(c.DataDir, log)
	if err != nil {
		return nil, err
	}
	if err := a.Renew(); err != nil {
		return nil, &health.Fault{Code: "authority_unusable", Exit: health.ExitConfig, What: "no certificate was made for TLS_SELF", Why: err.Error(), Err: err,
			Next: "let the user of the server write DATA_DIR, and make room there"}
	}
	c.TLSCertFile, c.TLSKeyFile = a.File(), a.File()
	log.Info("this server is known by the fingerprint of its authority", "fingerprint", a.Fingerprint())
	return a, nil
}

// homeOf is by what an edge at home finds a server with an authority of its own: the beginning of its fingerprint, and its
// address.
func homeOf(a *authority.Authority, listens net.Addr) (pin []byte, url string) {
	tcp, ok := listens.(*net.TCPAddr)
	if a == nil || !ok {
		return nil, ""
	}
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		names, ips := authority.ThisHost()
		host = names[0]
		if i := slices.IndexFunc(ips, func(ip net.IP) bool { return ip.To4() != nil }); i >= 0 {
			host = ips[i].String()
		}
	}
	sum := a.Sum()
	return sum[:paircode.PinBytes], "https://" + net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}

// CertificateFile is where the certificate is that a vps with these settings serves, "" for none.
func CertificateFile(certFile string, self bool, dataDir string) string {
	if self {
		return authority.File(dataDir)
	}
	return certFile
}

// FingerprintConfig is the command line of `sunspool vps fingerprint`. The settings of the vps decide where its authority is.
type FingerprintConfig struct {
	Certificate bool `name:"certificate" help:"Print the certificate of the authority instead, PEM, for a phone or a browser that is to trust it."`
	JSON        bool `name:"json" help:"One JSON document: both."`
}

// Fingerprint prints by what edges know the server of TLS_SELF.
func Fingerprint(cfg Config, f FingerprintConfig, out io.Writer) error {
	dir := filepath.Dir(cfg.storePath())
	a, err := authority.Read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &health.Fault{Code: "no_authority", Exit: health.ExitConfig, What: "there is no certificate authority in " + dir,
			Why: "the server makes it when it starts with TLS_SELF=1", Next: "set TLS_SELF=1 for the vps and restart it; if it runs, name its DATA_DIR"}
	}
	if err != nil {
		return err
	}
	if f.JSON {
		return json.NewEncoder(out).Encode(map[string]string{"fingerprint": a.Fingerprint(), "certificate": string(a.Certificate())})
	}
	if f.Certificate {
		_, err = out.Write(a.Certificate())
		return err
	}
	_, err = fmt.Fprintln(out, a.Fingerprint())
	return err
}
