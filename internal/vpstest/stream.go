package vpstest

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"

	"sunspool/wire"
)

// Event is one that a reader of a stream got; a ping is one without a name.
type Event struct{ ID, Name, Data string }

// Follow opens a stream on conn and returns its events; the channel is closed when the stream ends.
func Follow(t testing.TB, conn net.Conn, device, token string, headers ...string) <-chan Event {
	t.Helper()
	return FollowQuery(t, conn, "device_id="+device, token, headers...)
}

// FollowQuery is Follow of what a query asks for.
func FollowQuery(t testing.TB, conn net.Conn, query, token string, headers ...string) <-chan Event {
	t.Helper()
	r, _ := http.NewRequest("GET", "http://x"+wire.StreamPath+"?"+query, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	events := make(chan Event, 100_000)
	go func() {
		defer close(events)
		defer conn.Close()
		if r.Write(conn) != nil {
			return
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), r)
		if err != nil {
			return
		}
		if ct := answer.Header.Get("Content-Type"); answer.StatusCode != 200 || ct != "text/event-stream" || answer.Header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("%s %v", answer.Status, answer.Header)
		}
		var e Event
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case name == "id":
				e.ID = value
			case name == "event":
				e.Name = value
			case name == "data":
				e.Data = value
			case lines.Text() == "":
				events <- e
				e = Event{}
			}
		}
	}()
	return events
}

// Names are those of the events that wait, in order.
func Names(events <-chan Event) (all []string) {
	for len(events) > 0 {
		all = append(all, (<-events).Name)
	}
	return all
}

// Of returns the events of one name that wait, and drops the others.
func Of(name string, events <-chan Event) (all []Event) {
	for len(events) > 0 {
		if e := <-events; e.Name == name {
			all = append(all, e)
		}
	}
	return all
}
