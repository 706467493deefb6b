package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sunspool/health"
	"sunspool/internal/vpstest"
)

func TestTokensAreParsedAndNeverQuoted(t *testing.T) {
	sum := sha256.Sum256([]byte("hashed-secret"))
	hashed := "sha256:" + hex.EncodeToString(sum[:])
	const plain, view, all = "c-0123456789abcdef", "view-0123456789abcdef", "all-0123456789abcdef"
	tokens, err := ParseTokens(" "+plain+" : inv-1 ,\n# comment:inv-9\n"+hashed+":inv-2,,", view+":inv-1,"+all+":*")
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]Caller{
		plain: {Device: "inv-1"}, "hashed-secret": {Device: "inv-2"},
		view: {Device: "inv-1", Viewer: true}, all: {Device: "*", Viewer: true},
		"": {}, hashed: {}, "# comment": {}, "a": {},
	} {
		if who, known := tokens.Find(token, vpstest.Now); who != want || known != (want != Caller{}) {
			t.Errorf("%q is %v %v, want %v", token, who, known, want)
		}
	}

	const canary = "canary-in-a-setting"
	for name, settings := range map[string][2]string{
		"nothing":              {"", ""},
		"only viewers":         {" , \n", "v:*"},
		"no colon":             {canary, ""},
		"no token":             {":inv-1", ""},
		"two colons":           {canary + ":fe80::1", ""}, // the Python server takes what is behind the first for the device
		"a token with a colon": {canary + ":x:inv-1", ""},
		"a hash and two":       {hashed + ":inv-1:" + canary, ""},
		"a viewer with two":    {plain + ":inv-1", canary + ":inv-1:*"},
		"no device":            {canary + ":", ""},
		"bad device":           {canary + ":in v", ""},
		"any device may send":  {canary + ":*", ""},
		"short hash":           {"sha256:" + canary + ":inv-1", ""},
		"one for two devices":  {canary + ":inv-1," + canary + ":inv-2", ""},
		"device is viewer too": {canary + ":inv-1", canary + ":inv-1"},
		"bad viewer":           {plain + ":inv-1", canary},
		"short":                {"shorter-than-16:inv-1", ""},
		"short viewer":         {plain + ":inv-1", "shorter-than-16:*"},
		"in quotes":            {`"` + canary + `":inv-1`, ""},
		"all of it in quotes":  {`"` + canary + `:inv-1"`, ""},
		"not of a header":      {canary + "\tx:inv-1", ""},
	} {
		_, err := ParseTokens(settings[0], settings[1])
		fault, ok := errors.AsType[*health.Fault](err)
		if !ok || fault.Exit != health.ExitConfig || fault.Next == "" {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(fmt.Sprintf("%v %+v %#v", err, *fault, fault), canary) {
			t.Errorf("%s: the error quotes the token: %v", name, err)
		}
		if err := tokens.Replace(settings[0], settings[1]); err == nil {
			t.Errorf("%s: replaced", name)
		}
		if _, known := tokens.Find(plain, vpstest.Now); !known {
			t.Fatalf("%s: a bad reload threw the good tokens away", name)
		}
	}
}

const hexToken = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// The same devices in another order are the same viewer: its token may stand in two places while it is moved.
func TestTheOrderOfAViewersDevicesMeansNothing(t *testing.T) {
	if _, err := ParseTokens(vpstest.Token1+":roof", vpstest.Viewer1+":a+b,"+vpstest.Viewer1+":b+a"); err != nil {
		t.Error(err)
	}
	_, err := ParseTokens(vpstest.Token1+":roof", vpstest.Viewer1+":a,"+vpstest.Viewer1+":b")
	if err == nil || !strings.Contains(err.Error(), "DEVICE+DEVICE") {
		t.Errorf("one token for two devices: %v", err)
	}
	for _, bad := range []string{"a+", "+a", "a++b", "a+*", "*+a", "+", "a+b c", "a,+b"} {
		if _, err := ParseTokens(vpstest.Token1+":roof", vpstest.Viewer1+":"+bad); err == nil {
			t.Errorf("a viewer of %q", bad)
		}
	}
	if _, err := ParseTokens(vpstest.Token1+":roof+barn", ""); err == nil {
		t.Error("one token may send for two devices")
	}
}

// Whoever writes DEVICE:TOKEN is told so, and the token is not repeated; long names and hashes included. What is right
// is not taken for turned round.
func TestEntriesThatAreTurnedRoundAreNamed(t *testing.T) {
	for _, c := range []struct{ devices, viewers string }{
		{"roof:" + hexToken, ""}, {"roof:" + hexToken[:32], ""}, {"roof: secret-0123456789abcdef", ""}, {"roof:sha256:" + hexToken, ""},
		{"192.168.1.100:" + hexToken, ""}, {"the-inverter-on-the-roof:" + hexToken, ""}, {"the-inverter-on-the-roof:sha256:" + hexToken, ""},
		{"roof:Zm9vYmFyYmF6cXV4Zm9vYmFy/+==", ""}, {"A2212345678:" + hexToken, ""}, {"deadbeef:" + hexToken, ""},
		{vpstest.Token1 + ":roof", "roof:" + hexToken}, {vpstest.Token1 + ":roof", "*:" + hexToken}, {vpstest.Token1 + ":roof", "roof+barn:" + hexToken},
	} {
		_, err := ParseTokens(c.devices, c.viewers)
		fault, ok := errors.AsType[*health.Fault](err)
		if !ok || !strings.Contains(fault.Why, "write TOKEN:DEVICE") || fault.Exit != health.ExitConfig {
			t.Errorf("%v: %v", c, err)
		} else if said := fmt.Sprintf("%v %+v", err, *fault); strings.Contains(said, hexToken[:32]) || strings.Contains(said, "secret") || strings.Contains(said, "Zm9v") {
			t.Errorf("the error quotes the token: %v", err)
		}
	}
	for _, good := range []string{
		hexToken + ":roof", "sha256:" + hexToken + ":roof", "sha256:" + hexToken + ":the-inverter-on-the-roof", "a-token-of-16-chars:the-inverter-on-the-roof",
		hexToken + ":" + hexToken, "a-token-of-16-chars:" + hexToken[:32],
	} {
		if _, err := ParseTokens(good, ""); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

// A server whose tokens are all in the store says so; that is no token, and no viewer's.
func TestDeviceTokensMayBeInTheStore(t *testing.T) {
	for _, devices := range []string{"store", " store ,\n", "store," + vpstest.Token1 + ":roof"} {
		tokens, err := ParseTokens(devices, "")
		if err != nil {
			t.Errorf("%q: %v", devices, err)
		} else if _, known := tokens.Find("store", vpstest.Now); known {
			t.Error("the word is a token")
		}
	}
	for _, bad := range [][2]string{{"", "store"}, {"stored", ""}, {vpstest.Token1 + ":roof", "store"}, {"", ""}} {
		if _, err := ParseTokens(bad[0], bad[1]); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
