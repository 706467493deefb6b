package vps

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sunspool/health"
	"sunspool/internal/answer"
	"sunspool/vps/api"
	"sunspool/vps/auth"
	"sunspool/vps/store"
	"sunspool/wire"
)

// TokenConfig is the command line of `sunspool token`.
type TokenConfig struct {
	Server MachineConfig     `embed:""`
	Create TokenCreateConfig `cmd:"" help:"Make a token for an edge, a reader or an admin. It is printed this once."`
	List   TokenListConfig   `cmd:"" help:"List the tokens that were made, without their secrets."`
	Revoke TokenRevokeConfig `cmd:"" help:"End a token: it is refused at once, its sessions and streams end."`
}

// TokenCreateConfig is the command line of `sunspool token create`.
type TokenCreateConfig struct {
	Role    string   `name:"role" enum:"device,viewer,admin" required:"" help:"device sends samples of its devices and reads them, viewer reads, admin reads and manages tokens: ${enum}."`
	Devices []string `name:"device" sep:"," placeholder:"NAME,..." help:"Devices that it is for; * in a token that only reads for all."`
	Name    string   `name:"name" required:"" placeholder:"TEXT" help:"Whose it is, such as Family: the list shows it, and revoke takes it."`
	Expires string   `name:"expires" placeholder:"SPAN" help:"When it ends: a span such as 30d or 12h, or the first day on which it does not work, such as 2027-01-01 (UTC). Default: never."`
	Secret  bool     `name:"from-stdin" help:"Take the secret from standard input, at least 16 characters, instead of making one."`
	URL     string   `name:"url" env:"PUBLIC_URL" placeholder:"URL" help:"Address of the page, such as https://solar.example.org: a viewer's token is then printed as a link, and in a terminal for the camera of a phone."`
	QR      bool     `name:"qr" help:"Print the link as a QR code for the camera of a phone as well, also where there is no terminal. It needs --url."`
	JSON    bool     `name:"json" help:"One JSON object, as the API answers it, and the link of --url."`
}

// TokenListConfig is the command line of `sunspool token list`.
type TokenListConfig struct {
	JSON bool `name:"json" help:"One JSON object a line for each token."`
}

// TokenRevokeConfig is the command line of `sunspool token revoke`.
type TokenRevokeConfig struct {
	Token string `arg:"" name:"token" help:"The ID of the token, or its name."`
	JSON  bool   `name:"json" help:"One JSON document: the token, as the API answers it."`
}

// CreateToken has the server make a token, and prints it.
func CreateToken(ctx context.Context, server MachineConfig, create TokenCreateConfig, in io.Reader, out io.Writer, terminal bool) error {
	wish := api.TokenWish{Role: create.Role, Name: create.Name, Devices: create.Devices}
	if create.JSON {
		wish.Page = create.URL // the answer then has the link
	}
	now := time.Now()
	if create.Expires != "" {
		at, ok := expiry(create.Expires, now)
		if !ok {
			return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: fmt.Sprintf("--expires %q is neither a span nor a day", create.Expires), Next: "--expires 30d, 12h, or " + now.AddDate(0, 1, 0).UTC().Format(time.DateOnly)}
		}
		wish.Expires = &at
	}
	var page *url.URL
	if create.QR && (create.URL == "" || create.Role == store.RoleDevice) {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "there is no link to draw", Why: "--qr draws the link that opens the page: of a token that reads, with the address of the page",
			Next: "sunspool token create --role viewer --device '*' --name NAME --url https://solar.example.org --qr"}
	}
	if create.URL != "" {
		var err error
		if page, err = pageAddress(create.URL); err != nil {
			return err
		}
	}
	if create.Secret {
		text, err := io.ReadAll(io.LimitReader(in, 4<<10))
		if err != nil {
			return fmt.Errorf("read the secret: %w", err)
		}
		if wish.Secret = strings.TrimSpace(string(text)); wish.Secret == "" {
			return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "standard input has no secret", Next: "sunspool token create --help"}
		}
	}
	var made api.NewToken
	if err := server.ask(ctx, http.MethodPost, wire.TokensPath, wish, &made); err != nil {
		return err
	}
	reads := page != nil && made.Token.Role != store.RoleDevice
	if create.JSON {
		return json.NewEncoder(out).Encode(made)
	}
	if _, err := fmt.Fprintln(out, made.Secret); err != nil {
		return err
	}
	if reads {
		if err := printLink(out, page, made.Secret, terminal || create.QR, terminal); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "This is shown once. %s can %s%s.\nTo end it: sudo sunspool token revoke %s\n", made.Token.Name, does(made.Token), until(made.Token), made.Token.ID)
	return err
}

// does is what a token is for, in words.
func does(t api.Token) string {
	switch {
	case t.Role == store.RoleDevice:
		return "send and read " + read(t.Devices)
	case t.Role == store.RoleAdmin:
		return "read " + read(t.Devices) + ", and create and revoke tokens"
	}
	return "read " + read(t.Devices)
}

func until(t api.Token) string {
	if t.Expires == nil {
		return ""
	}
	return " until " + t.Expires.UTC().Format(time.RFC3339)
}

// expiry reads a span with a unit, also days, or a date.
func expiry(text string, now time.Time) (at time.Time, ok bool) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day, true
	}
	if digits, isDays := strings.CutSuffix(text, "d"); isDays {
		days, err := strconv.ParseUint(digits, 10, 16)
		return now.AddDate(0, 0, int(days)), err == nil && days > 0
	}
	span, err := time.ParseDuration(text)
	return now.Add(span), err == nil && span > 0
}

// ListTokens prints the tokens, the oldest first.
func ListTokens(ctx context.Context, server MachineConfig, config TokenListConfig, out io.Writer) error {
	var all api.TokenList
	if err := server.ask(ctx, http.MethodGet, wire.TokensPath, nil, &all); err != nil {
		return err
	}
	return tokenList.print(out, all.Tokens, config.JSON)
}

var tokenList = list[api.Token]{
	none: "no token was made; those of DEVICE_TOKENS and VIEWER_TOKENS are not in this list",
	head: []string{"ID", "NAME", "ROLE", "DEVICES", "CREATED", "LAST USED", "STATE"},
	row: func(t api.Token) []string {
		used := "never"
		if t.Used != nil {
			used = t.Used.UTC().Format("2006-01-02 15:04")
		}
		return []string{t.ID, t.Name, t.Role, deviceList(t.Devices), t.Created.UTC().Format(time.DateOnly), used, tokenState(t, time.Now())}
	},
}

func deviceList(devices []string) string {
	if devices == nil {
		return auth.AnyDevice
	}
	return strings.Join(devices, ",")
}

func tokenState(t api.Token, now time.Time) string {
	switch {
	case t.Revoked != nil:
		return "revoked " + t.Revoked.UTC().Format(time.DateOnly)
	case t.Expires == nil:
		return "valid"
	case !now.Before(*t.Expires):
		return "expired " + t.Expires.UTC().Format(time.DateOnly)
	}
	return "until " + t.Expires.UTC().Format("2006-01-02 15:04")
}

// RevokeToken ends the token of an ID, or else the one of a name that is not revoked yet.
func RevokeToken(ctx context.Context, server MachineConfig, revoke TokenRevokeConfig, out io.Writer) error {
	var all api.TokenList
	if err := server.ask(ctx, http.MethodGet, wire.TokensPath, nil, &all); err != nil {
		return err
	}
	var meant api.Token
	for _, t := range all.Tokens {
		if t.ID == revoke.Token {
			meant = t
			break
		}
		if t.Name == revoke.Token && (meant.ID == "" || t.Revoked == nil) {
			meant = t
		}
	}
	if meant.ID == "" {
		return &health.Fault{Code: "no_such_token", What: fmt.Sprintf("there is no token %q", revoke.Token), Why: "it is neither an ID nor a name of the list; those of DEVICE_TOKENS and VIEWER_TOKENS are removed there", Next: "sunspool token list"}
	}
	var t api.Token
	if err := server.ask(ctx, http.MethodDelete, wire.TokensPath+"/"+url.PathEscape(meant.ID), nil, &t); err != nil {
		return err
	}
	if meant.Revoked != nil {
		return answer.Print(out, revoke.JSON, t, fmt.Sprintf("%s (%s) was revoked on %s already", t.Name, t.ID, meant.Revoked.UTC().Format(time.DateOnly)))
	}
	return answer.Print(out, revoke.JSON, t, fmt.Sprintf("%s (%s) is revoked: it is refused from now on, within 5 s by every server of the same database", t.Name, t.ID))
}
