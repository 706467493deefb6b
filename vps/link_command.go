package vps

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/internal/qrcode"
	"sunspool/vps/auth"
)

// LinkConfig is the command line of `sunspool vps link`. The settings of the vps have the tokens.
type LinkConfig struct {
	URL    string `arg:"" name:"url" help:"Address of the page, such as https://solar.example.org."`
	Device string `name:"device" placeholder:"NAME" help:"A device that the link is to show. Default: whatever the first viewer token shows."`
	JSON   bool   `name:"json" help:"One JSON document: link, and the devices that it shows; null is every device."`
}

// Link prints the link that opens the page with a viewer token, and the same for a camera. The token is in the fragment, which
// a browser sends to no server.
func Link(cfg Config, link LinkConfig, out io.Writer, terminal bool) error {
	page, err := pageAddress(link.URL)
	if err != nil {
		return err
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
		if link.JSON {
			return json.NewEncoder(out).Encode(struct {
				Link    string   `json:"link"`
				Devices []string `json:"devices"`
			}{auth.LoginLink(page, v.Token), v.Devices()})
		}
		if err := printLink(out, page, v.Token, true, terminal); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "Whoever has this link can read %s, until its token is removed from VIEWER_TOKENS.\n", read(v.Devices()))
		return err
	}
	return &health.Fault{Code: "no_viewer_token", Exit: health.ExitConfig, What: "there is no viewer token to make a link of",
		Why:  "VIEWER_TOKENS has none that shows " + cmp.Or(link.Device, "a device") + " and is written as it is: of one written as sha256:HEX only the sum is known",
		Next: "add TOKEN:* or TOKEN:DEVICE to VIEWER_TOKENS; openssl rand -hex 20 makes a token"}
}

// pageAddress reads the address of the page.
func pageAddress(text string) (*url.URL, error) {
	page, ok := auth.PageAddress(text)
	if !ok {
		return nil, &health.Fault{Code: "usage", Exit: health.ExitUsage, What: fmt.Sprintf("%q is not the address of a page", text),
			Next: "write it as https://solar.example.org"}
	}
	return page, nil
}

// printLink prints the link that logs in with a token, and the same for a camera if it is wanted and can be drawn.
func printLink(out io.Writer, page *url.URL, token string, camera, colours bool) error {
	text := auth.LoginLink(page, token)
	if !camera || checklist.PlainLocale() {
		_, err := fmt.Fprintln(out, text)
		return err
	}
	code, err := qrcode.Of(text, colours)
	if err != nil {
		return fmt.Errorf("draw the link: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s\n\n%s\n", text, code)
	return err
}

// read names what a token shows.
func read(devices []string) string {
	if devices == nil {
		return "every device"
	}
	return strings.Join(devices, " and ")
}
