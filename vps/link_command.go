package vps

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"strings"

	"sunspool/health"
	"sunspool/internal/qrcode"
	"sunspool/vps/auth"
)

// LinkConfig is the command line of `sunspool vps link`. The settings of the vps have the tokens.
type LinkConfig struct {
	URL    string `arg:"" help:"Address of the page, such as https://solar.example.org."`
	Device string `name:"device" placeholder:"NAME" help:"A device that the link is to show. Default: whatever the first viewer token shows."`
}

// Link prints the link that opens the page with a viewer token, and the same for a camera. The token is in the fragment, which
// a browser sends to no server.
func Link(cfg Config, link LinkConfig, out io.Writer, terminal bool) error {
	page, err := url.Parse(link.URL)
	if err != nil || page.Scheme != "https" && page.Scheme != "http" || page.Host == "" || page.User != nil || page.RawQuery != "" || page.Fragment != "" {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: fmt.Sprintf("%q is not the address of a page", link.URL),
			Next: "sunspool vps link https://solar.example.org"}
	}
	if _, err := cfg.tokens(); err != nil {
		return err
	}
	viewers, err := entries(string(cfg.ViewerTokens), "VIEWER_TOKENS_FILE", cfg.ViewerTokensFile, "viewer-tokens")
	if err != nil {
		return err
	}
	for _, v := range auth.KnownViewers(viewers) {
		if link.Device != "" && !v.MayRead(link.Device) {
			continue
		}
		text := strings.TrimSuffix(page.String(), "/") + "/#t=" + v.Token
		code, err := qrcode.Of(text, terminal)
		if err != nil {
			return fmt.Errorf("draw the link: %w", err)
		}
		_, err = fmt.Fprintf(out, "%s\n\n%s\nWhoever has this link can read %s, until its token is removed from VIEWER_TOKENS.\n", text, code, read(v.Devices()))
		return err
	}
	return &health.Fault{Code: "no_viewer_token", Exit: health.ExitConfig, What: "there is no viewer token to make a link of",
		Why:  "VIEWER_TOKENS has none that shows " + cmp.Or(link.Device, "a device") + " and is written as it is: of one written as sha256:HEX only the sum is known",
		Next: "add TOKEN:* or TOKEN:DEVICE to VIEWER_TOKENS; openssl rand -hex 20 makes a token"}
}

// read names what a token shows.
func read(devices []string) string {
	if devices == nil {
		return "every device"
	}
	return strings.Join(devices, " and ")
}
