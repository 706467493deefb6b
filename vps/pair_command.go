package vps

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"sunspool/health"
	"sunspool/internal/paircode"
	"sunspool/vps/api"
	"sunspool/wire"
)

// PairConfig is the command line of `sunspool vps pair`.
type PairConfig struct {
	Device string `name:"device" default:"inverter" placeholder:"NAME" help:"Name of the inverter on this server, 1 to 64 characters of A-Z a-z 0-9 . _ ~ -."`
	URL    string `name:"url" env:"PUBLIC_URL" placeholder:"URL" help:"Address of this server for the edge, such as https://solar.example.org. Default: the one at home, with TLS_SELF."`
	JSON   bool   `name:"json" help:"Print JSON: device, server, code and expires."`
}

// Pair has the server make a pairing code, and prints what to type beside the inverter.
func Pair(ctx context.Context, server MachineConfig, p PairConfig, out io.Writer) error {
	if p.URL != "" {
		if _, err := pageAddress(p.URL); err != nil {
			return err
		}
	}
	var offer api.Offer
	if err := server.ask(ctx, http.MethodPost, wire.PairPath, map[string]string{"device": p.Device}, &offer); err != nil {
		return err
	}
	url := cmp.Or(p.URL, offer.URL)
	code := paircode.Code{Secret: offer.Secret, Pin: offer.Pin}
	if p.JSON {
		return json.NewEncoder(out).Encode(struct {
			Device  string    `json:"device"`
			Server  string    `json:"server,omitempty"`
			Code    string    `json:"code"`
			Expires time.Time `json:"expires"`
		}{offer.Device, url, code.String(), offer.Expires})
	}
	command := "sudo sunspool setup --server " + health.Quote(cmp.Or(url, "https://YOUR-SERVER")) + " --pair " + code.String()
	_, err := fmt.Fprintf(out, "Code for %s, for one use until %s:\n\n  %s\n\nOn the machine beside the inverter:\n\n  %s\n",
		offer.Device, offer.Expires.Local().Format("15:04"), code, command)
	return err
}

// HomeURL returns where the server of this machine can be reached at home, "" if it has no authority of its own.
func HomeURL(ctx context.Context, server MachineConfig) (string, error) {
	var home api.Home
	err := server.ask(ctx, http.MethodGet, wire.PairPath, nil, &home)
	return home.URL, err
}
