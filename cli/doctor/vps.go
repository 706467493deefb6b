package doctor

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"sunspool/health"
	"sunspool/vps"
	"sunspool/wire"
)

const (
	expiresSoon = 7 * 24 * time.Hour // of a certificate that somebody renews
	mostDevices = 20                 // that are named one by one
)

// vps asks the vps of this machine how it is, by its socket, and looks at its certificate.
func (e *examination) vps(ctx context.Context) (all []Check) {
	for _, s := range e.services {
		if s.role != roleVPS {
			continue
		}
		if s.denied {
			all = append(all, denied(areaVPS, "the vps answers root and its own user alone"))
			continue
		}
		status, err := vps.AskStatus(ctx, vps.MachineConfig{DataDir: s.vps.DataDir, AdminSocket: e.path(s.vps.AdminSocket)})
		switch f, _ := errors.AsType[*health.Fault](err); {
		case f != nil && strings.Contains(f.Why, "permission denied"):
			all = append(all, denied(areaVPS, "the vps answers root and its own user alone"))
		case err != nil:
			c := fail(areaVPS, asFault(err, "no_server"))
			c.exit, c.Next = health.ExitUnreachable, "sudo systemctl restart sunspool-vps"
			all = append(all, c)
		case !status.Ready:
			all = append(all, fail(areaVPS, &health.Fault{Code: "store_unavailable", What: "the vps cannot store samples", Why: status.Why, Next: "sudo journalctl -u sunspool-vps -n 20"}))
		default:
			all = append(all, pass(areaVPS, "sunspool %s stores samples, of %d devices", status.Version, len(status.Devices)))
			all = append(all, e.devices(status.Devices)...)
		}
		if err == nil && s.err == nil {
			all = append(all, e.door(ctx, s)...)
			all = append(all, links(ctx, s)...)
		}
		all = append(all, e.certificate(s)...)
	}
	return all
}

// devices says which of them send.
func (e *examination) devices(devices []vps.DeviceStatus) (all []Check) {
	quiet := slices.DeleteFunc(slices.Clone(devices), func(d vps.DeviceStatus) bool { return d.State == "live" || d.State == "asleep" || d.State == "delayed" })
	for i, d := range quiet {
		if i == mostDevices {
			all = append(all, warn(areaVPS, &health.Fault{Code: "device_silent", What: fmt.Sprintf("and %d devices more", len(quiet)-i), Next: "sudo sunspool status"}))
			break
		}
		what := d.ID + " has never sent a sample"
		if d.AgeS != nil {
			what = fmt.Sprintf("%s is %s: its newest sample is %s old", d.ID, d.State, health.Span(time.Duration(*d.AgeS*float64(time.Second))))
		}
		all = append(all, warn(areaVPS, &health.Fault{Code: "device_silent", What: what, Next: "sudo sunspool doctor   # on the machine of that edge"}))
	}
	return all
}

// door asks the vps at the address at which its readers do.
func (e *examination) door(ctx context.Context, s *service) []Check {
	file := vps.CertificateFile(s.vps.TLSCertFile, s.vps.TLSSelf, s.vps.DataDir)
	if err := vps.Check(ctx, s.vps.ListenAddr, file); err != nil {
		c := fail(areaVPS, asFault(err, "unhealthy"))
		c.Next = "sudo systemctl restart sunspool-vps"
		return []Check{c}
	}
	return []Check{pass(areaVPS, "it serves at %s", s.vps.ListenAddr)}
}

// links says of what the store is made, and which part of it is away, by the metrics of the vps.
func links(ctx context.Context, s *service) (all []Check) {
	if s.vps.InternalAddr == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.vps.InternalAddr+wire.MetricsPath, nil)
	if err != nil {
		return nil
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil // it listens elsewhere
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		link, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), `sunspool_link_up{link="`), `"}`)
		if !ok || !strings.HasPrefix(lines.Text(), "sunspool_link_up{") {
			continue
		}
		if strings.TrimSpace(value) == "1" {
			all = append(all, pass(areaVPS, "%s answers", link))
			continue
		}
		f := &health.Fault{Code: "link_broken", What: link + ", which the vps uses, does not answer", Next: "sudo journalctl -u sunspool-vps -n 20"}
		if link == "redis" {
			f.Why = "nothing is lost: answers come from the store, and streams of other processes pause"
		}
		all = append(all, warn(areaVPS, f))
	}
	return all
}

// certificate says until when the certificate of the vps is valid.
func (e *examination) certificate(s *service) []Check {
	file := vps.CertificateFile(s.vps.TLSCertFile, s.vps.TLSSelf, s.vps.DataDir)
	if file == "" || s.err != nil {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil // the settings are wrong, or it is made when the vps starts
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	until, now := leaf.NotAfter.Local().Format("2006-01-02 15:04"), e.Now()
	f := &health.Fault{Code: "certificate_expires", What: "the certificate of the vps in " + file + " ends on " + until,
		Next: "renew the certificate in TLS_CERT_FILE: it is read again when it changes"}
	if s.vps.TLSSelf {
		f.Next = "sudo systemctl restart sunspool-vps   # it renews its own certificate when it starts"
	}
	switch {
	case now.After(leaf.NotAfter):
		f.Code, f.What = "certificate_expired", "the certificate of the vps in "+file+" ended on "+until
		return []Check{fail(areaVPS, f)}
	case now.Before(leaf.NotBefore):
		f.Code, f.What = "certificate_early", "the certificate of the vps in "+file+" is valid from "+leaf.NotBefore.Local().Format("2006-01-02 15:04")+" on"
		f.Next = "sudo timedatectl set-ntp true   # or is the certificate dated wrongly?"
		return []Check{fail(areaVPS, f)}
	case leaf.NotAfter.Sub(now) < expiresSoon && !s.vps.TLSSelf || leaf.NotAfter.Sub(now) < expiresSoon/7:
		return []Check{warn(areaVPS, f)}
	}
	return []Check{pass(areaVPS, "its certificate is valid until %s", until)}
}
