package edge

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
)

// A SUNGROW_HOST that ends in .local is asked of the network when the edge connects.
func TestNameOfTheNetworkIsAskedFor(t *testing.T) {
	c := goodSettings(t)
	c.Host = "nothing-has-this-name.local"
	e, err := New(c, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Spool.Close()
	_, err = e.Inverter.Dongle.Link.Dial(t.Context(), "tcp", net.JoinHostPort(c.Host, "502"))
	var dns *net.DNSError
	if errors.Is(err, context.Canceled) || !errors.As(err, &dns) || !strings.Contains(dns.Err, "network") {
		t.Errorf("%v", err)
	}
}
