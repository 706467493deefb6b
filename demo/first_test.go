package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// linkReader opens the link of a demo at the moment at which it is printed, as a person in a hurry does.
type linkReader struct {
	t     *testing.T
	quit  func()
	page  string
	asked time.Time                  // for the devices
	of    map[string]json.RawMessage // answers, by path
	done  bool
}

func (r *linkReader) Write(line []byte) (int, error) {
	link, isLink := strings.CutPrefix(strings.TrimSpace(string(line)), "Open ")
	if !isLink || r.done {
		return len(line), nil
	}
	r.done = true
	defer r.quit()
	r.page = r.get(link)
	r.of = map[string]json.RawMessage{}
	var devices struct{ Devices []struct{ ID string } }
	r.of["devices"], r.asked = json.RawMessage(r.get(link+"v1/devices?today=1")), time.Now()
	if err := json.Unmarshal(r.of["devices"], &devices); err != nil || len(devices.Devices) == 0 {
		r.t.Error(err, string(r.of["devices"]))
		return len(line), nil
	}
	for _, d := range devices.Devices {
		r.of[d.ID] = json.RawMessage(r.get(link + "v1/energy?resolution=day&device_id=" + url.QueryEscape(d.ID)))
	}
	return len(line), nil
}

func (r *linkReader) get(address string) string {
	question, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		r.t.Error(err)
		return ""
	}
	question.Header.Set("Accept", "text/html, */*;q=0.8")
	resp, err := http.DefaultClient.Do(question)
	if err != nil {
		r.t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Error(address, resp.StatusCode, err)
	}
	return string(body)
}

// When the link is printed, the page behind it has the numbers of today, of a device that is live, and the version of the
// program; the days before come while it is looked at.
func TestThePageHasTodayWhenItsLinkIsPrinted(t *testing.T) {
	t.Parallel()
	for _, scenario := range []string{"mixed", "sunny", "two-inverters", "fleet"} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			c := flags(scenario)
			c.Days, c.Keep = 30, filepath.Join(t.TempDir(), "kept")
			if set := scenarios[scenario]; set.day == nil {
				c.Date = atNoon(c)
			}
			ctx, quit := context.WithCancel(t.Context())
			defer quit()
			r := &linkReader{t: t, quit: quit}
			begun := time.Now()
			if err := Run(ctx, c, "1.2.3-test", nil, r); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(r.page, `"build":"1.2.3-test"`) {
				t.Error("the page does not have the version")
			}
			var devices struct {
				Devices []struct {
					ID, State string
					Age       float64 `json:"age_s"`
					Today     struct {
						Date string
						PV   *float64 `json:"pv_kwh"`
					}
				}
			}
			if err := json.Unmarshal(r.of["devices"], &devices); err != nil {
				t.Fatal(err)
			}
			for _, d := range devices.Devices {
				if d.State == "never" {
					if d.ID != "school" { // of the fleet, which nothing was ever received from
						t.Errorf("nothing is there of %s", d.ID)
					}
					continue
				}
				if d.Today.PV == nil && d.State != "offline" {
					t.Errorf("%s: today has no energy", d.ID)
				}
				if d.ID != Device && d.ID != "barn" && d.ID != "garage" {
					continue // what is silent, asleep or behind has no whole day
				}
				if since := r.asked.Sub(begun).Seconds(); d.ID == Device && d.Age > since+2*pollStep.Seconds() {
					t.Errorf("%s is %s, its newest sample %v s old, %v s after the start", d.ID, d.State, d.Age, since)
				}
				var energy struct {
					Labels  []string
					Columns struct{ Coverage []*float64 }
				}
				if err := json.Unmarshal(r.of[d.ID], &energy); err != nil {
					t.Fatal(err)
				}
				n := len(energy.Labels)
				if n == 0 || energy.Labels[n-1] != d.Today.Date {
					t.Errorf("%s: the days are %v, today is %s", d.ID, energy.Labels, d.Today.Date)
				} else if covered := energy.Columns.Coverage[n-1]; covered == nil || *covered < 0.98 && scenario != "fleet" {
					t.Errorf("%s: %s of today is measured", d.ID, percent(covered))
				}
			}
		})
	}
}

// atNoon returns the --date of today's noon, for a test of today that no midnight ends.
func atNoon(c Config) string {
	zone, err := time.LoadLocation(c.TZ)
	if err != nil {
		panic(err)
	}
	return time.Now().In(zone).Format(time.DateOnly) + "T12:00"
}

func percent(part *float64) string {
	if part == nil {
		return "nothing"
	}
	return fmt.Sprintf("%.1f %%", *part*100)
}

// The days of the past are there, in whole, although they are stored after those that are newer.
func TestTheDaysBeforeComeAfterwards(t *testing.T) {
	t.Parallel()
	c := flags("mixed")
	c.Days, c.Date = 30, atNoon(flags("mixed"))
	s, ctx := runShow(t, c)
	from := s.started.AddDate(0, 0, -29)
	await(t, ctx, "all days", func() bool {
		days := answer[struct {
			Labels  []string
			Columns struct{ Coverage []*float64 }
		}](t, s, "/v1/energy?resolution=day&device_id=demo&from="+from.Format(time.DateOnly))
		for i := range days.Labels {
			if covered := days.Columns.Coverage[i]; covered == nil || *covered < 0.98 {
				return false
			}
		}
		return len(days.Labels) == 30
	})
}
