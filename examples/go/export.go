// Copies all sessions of a client to a file, and at every later start what has changed since.
//
//	UPTOK_URL=https://uptok.example UPTOK_API_KEY=... go run export.go [sessions.ndjson]
//
// Needs Go 1.19 or newer and no modules. README.md explains the file.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	tries       = 5
	longestWait = 300 * time.Second // a server that asks for more ends the program
	timeout     = 60 * time.Second
	// A change counts from when it began, not from when it was stored, so the last minute is always read again.
	overlap = time.Minute
)

var errBrokenOff = errors.New("the answer broke off")

// Progress says how much of the file is complete, and where to go on.
type Progress struct {
	Bytes        int64   `json:"bytes"`
	Cursor       *string `json:"cursor"`
	UpdatedSince *string `json:"updatedSince"`
	StartedAt    *string `json:"startedAt"`
}

// Page has each session as the server wrote it.
type Page struct {
	Data       []json.RawMessage `json:"data"`
	NextCursor *string           `json:"nextCursor"`
}

type client struct {
	url, key string
	http     http.Client
}

// loadPage returns a page of sessions, and the time of the server.
func (c *client) loadPage(query url.Values) (page Page, now time.Time, err error) {
	for attempt := 1; ; attempt++ {
		response, body, err := c.get("/api/sessions?" + query.Encode())
		if err != nil {
			return page, now, err
		}
		if response.StatusCode == http.StatusOK {
			now, err = http.ParseTime(response.Header.Get("Date"))
			if json.Unmarshal(body, &page) != nil || page.Data == nil || err != nil {
				return page, now, errBrokenOff
			}
			return page, now, nil
		}
		wait := waitTime(response.Header.Get("Retry-After"))
		isBusy := response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusServiceUnavailable
		if !isBusy || attempt == tries || wait > longestWait {
			return page, now, describe(response.StatusCode, body)
		}
		time.Sleep(wait)
	}
}

func (c *client) get(path string) (*http.Response, []byte, error) {
	request, err := http.NewRequest(http.MethodGet, c.url+path, nil)
	if err != nil {
		return nil, nil, errors.New("UPTOK_URL is not an address")
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("Accept", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, nil, fmt.Errorf("%s cannot be reached", c.url)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, errBrokenOff
	}
	return response, body, nil
}

func waitTime(retryAfter string) time.Duration {
	seconds, err := strconv.ParseUint(retryAfter, 10, 31)
	if err != nil {
		return 5 * time.Second
	}
	return time.Duration(seconds) * time.Second
}

// describe returns the first sentence that the server says, and the status.
func describe(status int, body []byte) error {
	var problem struct{ Detail string }
	if json.Unmarshal(body, &problem) != nil || problem.Detail == "" {
		problem.Detail = "the server refused the request"
	}
	sentence := strings.TrimSuffix(strings.SplitN(problem.Detail, ". ", 2)[0], ".")
	return fmt.Errorf("%s (HTTP %d)", sentence, status)
}

func loadProgress(path, progressPath string) (progress Progress, err error) {
	text, err := os.ReadFile(progressPath)
	if err == nil {
		return progress, json.Unmarshal(text, &progress)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return progress, err
	}
	if file, err := os.Stat(path); err == nil && file.Size() > 0 {
		return progress, fmt.Errorf("%s exists already, and is not from this program", path)
	}
	return progress, saveProgress(progress, progressPath)
}

// saveProgress replaces the file in one step, so that it is whole whenever the program is killed.
func saveProgress(progress Progress, progressPath string) error {
	text, err := json.Marshal(progress)
	if err != nil {
		return err
	}
	file, err := os.Create(progressPath + ".new")
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(progressPath+".new", progressPath)
}

// export appends every session, or those that changed since the last export. It returns how many.
func (c *client) export(path string) (count int, err error) {
	progressPath := path + ".progress"
	progress, err := loadProgress(path, progressPath)
	if err != nil {
		return 0, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	if end < progress.Bytes {
		return 0, fmt.Errorf("%s is shorter than it was; delete it and %s", path, progressPath)
	}
	for {
		page, now, err := c.loadPage(progress.query())
		if err != nil {
			return count, err
		}
		if err := progress.append(file, page, now); err != nil {
			return count, err
		}
		count += len(page.Data)
		if err := saveProgress(progress, progressPath); err != nil || progress.Cursor == nil {
			return count, err
		}
	}
}

func (p *Progress) query() url.Values {
	query := url.Values{"perPage": {"1000"}}
	if p.Cursor != nil {
		query.Set("cursor", *p.Cursor)
	}
	if p.UpdatedSince != nil {
		query.Set("updatedSince", *p.UpdatedSince)
	}
	return query
}

// append writes the sessions after the last saved progress, over what came after it.
func (p *Progress) append(file *os.File, page Page, now time.Time) error {
	if p.StartedAt == nil {
		startedAt := now.Add(-overlap).UTC().Format(time.RFC3339)
		p.StartedAt = &startedAt
	}
	var lines bytes.Buffer
	for _, session := range page.Data {
		lines.Write(session)
		lines.WriteByte('\n')
	}
	if err := file.Truncate(p.Bytes); err != nil {
		return err
	}
	if _, err := file.WriteAt(lines.Bytes(), p.Bytes); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	p.Bytes += int64(lines.Len())
	p.Cursor = page.NextCursor
	if p.Cursor == nil {
		p.UpdatedSince, p.StartedAt = p.StartedAt, nil
	}
	return nil
}

func run(path string) error {
	address := strings.TrimRight(os.Getenv("UPTOK_URL"), "/")
	if address == "" {
		address = "http://localhost:8080"
	}
	key := strings.TrimSpace(os.Getenv("UPTOK_API_KEY"))
	if !regexp.MustCompile(`^uptok_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$`).MatchString(key) {
		return errors.New("UPTOK_API_KEY is not an API key of Uptok")
	}
	if !regexp.MustCompile(`^https?://`).MatchString(address) {
		return errors.New("UPTOK_URL does not begin with https:// or http://")
	}
	c := client{url: address, key: key}
	c.http.Timeout = timeout
	// The key must not follow a redirect to another server.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	count, err := c.export(path)
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), key, "(key)"))
	}
	fmt.Printf("%d sessions written to %s\n", count, path)
	return nil
}

func main() {
	path := "sessions.ndjson"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	if err := run(path); err != nil {
		fmt.Fprintf(os.Stderr, "The export stopped and can be started again: %s.\n", err)
		os.Exit(1)
	}
}
