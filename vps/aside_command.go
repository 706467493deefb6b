package vps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sunspool/health"
	"sunspool/internal/answer"
	"sunspool/vps/api"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// AsideConfig is the command line of `sunspool vps aside`. The settings of the vps decide where samples are.
type AsideConfig struct {
	List   AsideListConfig   `cmd:"" help:"List what was set aside of a device."`
	Delete AsideDeleteConfig `cmd:"" help:"Delete what was set aside of a device."`
}

// AsideListConfig is the command line of `sunspool vps aside list`.
type AsideListConfig struct {
	Device string `arg:"" help:"The device."`
	JSON   bool   `name:"json" help:"One JSON object a line for each sample, with the sample as it was sent."`
}

// AsideDeleteConfig is the command line of `sunspool vps aside delete`.
type AsideDeleteConfig struct {
	Device string `arg:"" help:"The device."`
	To     int64  `name:"to" placeholder:"NUMBER" help:"The last one to delete, by its number in the list; without it all."`
	JSON   bool   `name:"json" help:"One JSON document."`
}

// ListAside lists what is set aside of a device, the oldest first.
func ListAside(ctx context.Context, cfg Config, list AsideListConfig, out io.Writer) error {
	return cfg.withAside(ctx, list.Device, func(k asideKeeper) error {
		lines, codes, total := json.NewEncoder(out), map[string]int{}, 0
		for after := int64(0); ; {
			page, err := k.Aside(ctx, list.Device, after, api.AsidePage)
			if err != nil {
				return err
			}
			if list.JSON {
				for _, a := range page {
					if err := lines.Encode(api.AsideSample{Aside: a, Sample: a.JSON}); err != nil {
						return err
					}
				}
			} else if err := tableOfAside(out, page, total == 0); err != nil {
				return err
			}
			for _, a := range page {
				codes[a.Code]++
			}
			if total += len(page); len(page) < api.AsidePage {
				break
			}
			after = page[len(page)-1].Number
		}
		if list.JSON {
			return nil
		}
		var each []string
		for _, code := range slices.Sorted(maps.Keys(codes)) {
			each = append(each, fmt.Sprintf("%d %s", codes[code], code))
		}
		_, err := fmt.Fprintln(out, strings.TrimSuffix(fmt.Sprintf("%s: %d samples are set aside: %s", list.Device, total, strings.Join(each, ", ")), ": "))
		return err
	})
}

func tableOfAside(out io.Writer, page []store.Aside, first bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if first && len(page) > 0 {
		fmt.Fprintln(w, "NUMBER\tRECEIVED\tCODE\tTIME AS SENT\tPV_POWER_W")
	}
	for _, a := range page {
		var sent struct {
			Time string  `json:"ts"`
			PV   float64 `json:"pv_power_w"`
		}
		_ = json.Unmarshal(a.JSON, &sent) // it was read when it came
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%v\n", a.Number, a.Received.UTC().Format(time.RFC3339), a.Code, sent.Time, sent.PV)
	}
	return w.Flush()
}

// DeleteAside deletes what is set aside of a device.
func DeleteAside(ctx context.Context, cfg Config, d AsideDeleteConfig, out io.Writer) error {
	to := d.To
	if to == 0 {
		to = math.MaxInt64
	}
	return cfg.withAside(ctx, d.Device, func(k asideKeeper) error {
		deleted, err := k.DeleteAside(ctx, d.Device, to)
		if err == nil {
			err = answer.Print(out, d.JSON, map[string]any{"device_id": d.Device, "deleted": deleted}, fmt.Sprintf("%s: %d samples deleted", d.Device, deleted))
		}
		return err
	})
}

// withAside calls f with the database, or else with the server that has the file open, or else with the file.
func (c *Config) withAside(ctx context.Context, device string, f func(asideKeeper) error) error {
	if !wire.ValidDeviceID(device) {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "that is no device", Why: "a device has 1 to 64 characters of A-Z a-z 0-9 . _ ~ -",
			Next: "name it as in DEVICE_TOKENS"}
	}
	if c.DatabaseURL == "" {
		if c.InternalAddr != "" {
			if err := f(asideClient{local(c.InternalAddr)}); !errors.Is(err, errNoServer) {
				return err
			}
		}
		if _, err := os.Stat(filepath.Join(c.DataDir, storeFile)); errors.Is(err, fs.ErrNotExist) {
			return &health.Fault{Code: "store_missing", Exit: health.ExitConfig, What: "there is no store in " + c.DataDir,
				Next: "run it with the DATA_DIR, or the DATABASE_URL, of the vps"}
		}
	}
	s, err := c.openStore(slog.New(slog.DiscardHandler))
	if fault, ok := errors.AsType[*health.Fault](err); ok && fault.Code == "store_locked" {
		fault.Next = "run it with the INTERNAL_ADDR of that vps, on its machine or in its container; or stop that vps"
	}
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.Close())
}

// local is an address to listen at as one to connect to.
func local(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// asideKeeper is a store, or the server that has it open.
type asideKeeper interface {
	Aside(ctx context.Context, device string, after int64, limit int) ([]store.Aside, error)
	DeleteAside(ctx context.Context, device string, to int64) (int64, error)
}

// asideClient asks the internal listener of a server.
type asideClient struct{ address string }

var errNoServer = errors.New("no vps answers there")

func (a asideClient) Aside(ctx context.Context, device string, after int64, _ int) ([]store.Aside, error) {
	var list api.AsideList
	if err := a.do(ctx, http.MethodGet, fmt.Sprintf("?device_id=%s&after=%d", device, after), &list); err != nil {
		return nil, err
	}
	all := make([]store.Aside, len(list.Samples))
	for i, s := range list.Samples {
		all[i] = s.Aside
		all[i].JSON = s.Sample
	}
	return all, nil
}

func (a asideClient) DeleteAside(ctx context.Context, device string, to int64) (int64, error) {
	var answer struct{ Deleted int64 }
	err := a.do(ctx, http.MethodDelete, fmt.Sprintf("?device_id=%s&to=%d", device, to), &answer)
	return answer.Deleted, err
}

// do asks once. What is not an answer of such a server is errNoServer.
func (a asideClient) do(ctx context.Context, method, query string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*request.StoreTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+a.address+wire.AsidePath+query, nil)
	if err != nil {
		return errors.Join(errNoServer, err)
	}
	r.Host = "localhost" // the address may be written as another name of this machine
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return errors.Join(errNoServer, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusServiceUnavailable {
		return &health.Fault{Code: "store_unavailable", What: "the vps at " + a.address + " cannot read or write its store now", Next: "see its log, and try again when /ready is 200"}
	}
	if answer.StatusCode != http.StatusOK || json.NewDecoder(answer.Body).Decode(into) != nil {
		return fmt.Errorf("%w: %s %s: %s", errNoServer, method, wire.AsidePath, answer.Status)
	}
	return nil
}
