/* What a node tells its parent arrives, also after the node's death. */
#include "node/daemon/parent_link.h"
#include "tests/unit/daemon/cmocka_all.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct parent_link *open_pair(int *ret_parent_fd)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    *ret_parent_fd = ends[0];
    struct parent_link *link = parent_link_create(ends[1]);
    assert_non_null(link);
    return link;
}

static void all_news_arrives(void **state)
{
    (void)state;
    int fd;
    struct parent_link *link = open_pair(&fd);
    struct parent_peer peers[2] = {{"tcp://127.0.0.1:1", "k1", 11},
                                   {"tcp://127.0.0.1:2", "k2", 22}};
    parent_link_identity(link, 77, 5);
    parent_link_elected(link, 9);
    parent_link_beat(link);
    parent_link_beat(link);
    parent_link_peers(link, peers, 2, 2);
    static struct parent_news news;
    assert_true(parent_news_read(fd, &news));
    assert_int_equal(news.id, 77);
    assert_int_equal(news.incarnation, 5);
    assert_int_equal(news.beats, 2);
    assert_int_equal(news.term, 9);
    assert_true(news.owes_wait);
    assert_int_equal(news.peer_count, 2);
    assert_int_equal(news.needed, 2);
    assert_string_equal(news.peers[1].address, "tcp://127.0.0.1:2");
    assert_int_equal(news.peers[1].id, 22);
    parent_news_forget(&news);
    parent_link_destroy(&link);
    (void)close(fd);
}

static void no_wait_counts_for_its_term_only(void **state)
{
    (void)state;
    int fd;
    struct parent_link *link = open_pair(&fd);
    static struct parent_news news;
    parent_link_elected(link, 4);
    parent_link_no_wait(link, 4);
    parent_link_elected(link, 6);
    parent_link_no_wait(link, 4); /* late */
    assert_true(parent_news_read(fd, &news));
    assert_int_equal(news.term, 6);
    assert_true(news.owes_wait);
    parent_link_no_wait(link, 6);
    assert_true(parent_news_read(fd, &news));
    assert_false(news.owes_wait);
    parent_news_forget(&news);
    parent_link_destroy(&link);
    (void)close(fd);
}

static void last_words_survive_the_node(void **state)
{
    (void)state;
    int fd;
    struct parent_link *link = open_pair(&fd);
    static struct parent_news news;
    parent_link_elected(link, 8);
    parent_link_destroy(&link);
    assert_false(parent_news_read(fd, &news)); /* closed, */
    assert_int_equal(news.term, 8);            /* but read to the end */
    parent_news_forget(&news);
    (void)close(fd);
}

static void a_managers_pidfd_tells_its_end(void **state)
{
    (void)state;
    int fd;
    struct parent_link *link = open_pair(&fd);
    static struct parent_news news;
    pid_t child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    parent_link_manager(link, child);
    assert_true(parent_news_read(fd, &news));
    assert_int_equal(news.manager_count, 1);
    struct pollfd poll_fd = {.fd = news.manager_fds[0], .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 0), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(poll(&poll_fd, 1, 10000), 1);
    (void)waitpid(child, NULL, 0);
    parent_news_forget(&news);
    parent_link_destroy(&link);
    (void)close(fd);
}

static void a_dead_parent_is_noticed(void **state)
{
    (void)state;
    int fd;
    struct parent_link *link = open_pair(&fd);
    assert_true(parent_link_alive(link));
    (void)close(fd);
    assert_false(parent_link_alive(link));
    parent_link_elected(link, 1); /* and speaking to it does no harm */
    parent_link_destroy(&link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_news_arrives),
        cmocka_unit_test(no_wait_counts_for_its_term_only),
        cmocka_unit_test(last_words_survive_the_node),
        cmocka_unit_test(a_managers_pidfd_tells_its_end),
        cmocka_unit_test(a_dead_parent_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
